# SPDX-License-Identifier: Apache-2.0
"""Convolution units that the networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["ConvNormReLU", "double_conv"]

# Up to this many weights per kernel position, the maps are larger than the weights at every useful input size, and one
# pass over the weights is cheaper than one over the maps.
_FOLDABLE = 128 * 128


class ConvNormReLU(nn.Module):
    """3x3 convolution with bias, batch normalisation, ReLU.

    In evaluation mode the normalisation of narrow units is folded into the convolution at each call: the same numbers
    up to rounding, one pass over the map less, and nothing to undo when training goes on.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.

    Shape:
        ``(B, in_channels, H, W)`` -> ``(B, out_channels, H, W)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.foldable = in_channels * out_channels <= _FOLDABLE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, normalise, rectify."""
        bias, mean, var = self.conv.bias, self.norm.running_mean, self.norm.running_var
        if self.training or not self.foldable or bias is None or mean is None or var is None:
            return F.relu(self.norm(self.conv(x)), inplace=True)
        scale = self.norm.weight * torch.rsqrt(var + self.norm.eps)
        bias = (bias - mean) * scale + self.norm.bias
        return F.relu(F.conv2d(x, self.conv.weight * scale[:, None, None, None], bias, padding=1), inplace=True)


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two :class:`ConvNormReLU` in a row, the first of which changes the number of channels."""
    return nn.Sequential(ConvNormReLU(in_channels, out_channels), ConvNormReLU(out_channels, out_channels))
