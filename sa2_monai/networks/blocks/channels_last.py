# SPDX-License-Identifier: Apache-2.0
"""Convolutions on maps whose last axis is the channel."""

from __future__ import annotations

import torch
from torch import nn

from sa2_monai.networks.blocks.linear import linear

__all__ = ["ChannelsLastConv", "ConvNorm", "PointwiseConv"]


class ChannelsLastConv(nn.Conv2d):
    """``torch.nn.Conv2d`` on a map whose last axis is the channel.

    Shape:
        ``(B, H, W, in_channels)`` -> ``(B, H', W', out_channels)``.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``x``."""
        return self._conv_forward(x.permute(0, 3, 1, 2), self.weight, self.bias).permute(0, 2, 3, 1)


class PointwiseConv(nn.Conv2d):
    """1x1 convolution, calculated as a matrix product on the last axis.

    Shape:
        ``(..., in_channels)`` -> ``(..., out_channels)``.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=1, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the channels of ``x``."""
        return linear(x, self.weight.flatten(1), self.bias, self.training)


class ConvNorm(nn.Module):
    """Convolution with bias that keeps the size, then batch normalisation.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd.
        dilation: distance of the kernel's taps in pixels.
        groups: as in ``nn.Conv2d``; a kernel of one pixel has none.

    Shape:
        ``(B, H, W, in_channels)`` -> ``(B, H, W, out_channels)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 1, dilation: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        if kernel_size == 1:
            self.conv: nn.Conv2d = PointwiseConv(in_channels, out_channels)
        else:
            padding = dilation * (kernel_size // 2)
            self.conv = ChannelsLastConv(
                in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, groups=groups
            )
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve and normalise ``x``."""
        return self.norm(self.conv(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
