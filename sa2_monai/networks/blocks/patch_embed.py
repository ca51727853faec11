# SPDX-License-Identifier: Apache-2.0
"""Overlapping patch embedding."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["OverlapPatchEmbed"]


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
