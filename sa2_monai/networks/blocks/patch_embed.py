# SPDX-License-Identifier: Apache-2.0
"""Patches as tokens: overlapping embedding, and reduction of a map by patches side by side."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.linear import linear, onednn_gains

__all__ = ["OverlapPatchEmbed", "PatchReduce"]


class OverlapPatchEmbed(nn.Module):
    """Patch embedding by a strided convolution whose windows overlap, then layer normalisation.

    Source: Xie et al., "SegFormer", NeurIPS 2021, section 3.1.

    Args:
        in_channels: channels of the input.
        out_channels: width of the tokens.
        kernel_size: side of the convolution's window.
        stride: step between windows: the factor by which the map shrinks.
        padding: zeros on each side.

    Shape:
        ``(B, H, W, in_channels)`` -> ``(B, H / stride, W / stride, out_channels)``.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embed the map ``x``."""
        return self.norm(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class PatchReduce(nn.Conv2d):
    """Convolution whose stride is its kernel: each patch becomes one token.

    Its few outputs have many weights, which the convolution of a CPU brings into another order at each call; there, in
    inference, it is a matrix product of the patches with the weights as they lie in memory.

    Args:
        channels: width of input and output.
        size: side of the patches; rows and columns that fill no patch are left out.

    Shape:
        ``(B, H, W, channels)`` -> ``(B, H // size, W // size, channels)``.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, channels, kernel_size=size, stride=size)
        self.side = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reduce the map ``x``."""
        if not torch.jit.is_scripting():  # noqa: SIM102 - TorchScript leaves out what is under this question
            if onednn_gains(x, self.weight, self.out_channels):
                return self._product(x)
        return F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, stride=self.side).permute(0, 2, 3, 1)

    def _product(self, x: torch.Tensor) -> torch.Tensor:
        b, h, w, c = x.shape
        s = self.side
        rows, columns = h // s, w // s
        x = x[:, : rows * s, : columns * s].reshape(b, rows, s, columns, s * c)
        patches = x.transpose(2, 3).reshape(b, rows, columns, s * s * c)
        return linear(patches, self.weight.permute(0, 2, 3, 1).reshape(c, -1), self.bias)
