# SPDX-License-Identifier: Apache-2.0
"""Patches as tokens: overlapping embedding, and reduction of a map by patches side by side."""

from __future__ import annotations

import torch
from torch import nn

from sa2_monai.networks.blocks.channels_last import ChannelsLastConv

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
        self.conv = ChannelsLastConv(in_channels, out_channels, kernel_size, stride, padding)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embed the map ``x``."""
        return self.norm(self.conv(x))


class PatchReduce(ChannelsLastConv):
    """Convolution whose stride is its kernel: each patch becomes one token.

    Args:
        channels: width of input and output.
        size: side of the patches; rows and columns that fill no patch are left out.

    Shape:
        ``(B, H, W, channels)`` -> ``(B, H // size, W // size, channels)``.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, channels, kernel_size=size, stride=size)
