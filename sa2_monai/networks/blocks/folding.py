# SPDX-License-Identifier: Apache-2.0
"""Convolution and batch normalisation on maps whose last axis is the channel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.linear import linear
from sa2_monai.networks.blocks.norms import norm_affine
from sa2_monai.networks.blocks.recording import is_compiled

__all__ = ["FOLDABLE", "ConvNorm", "PointwiseConv"]

FOLDABLE = 160_000
"""Weights up to which a normalisation is folded: that costs one pass over the weights at each call, instead of one over
the map."""


class PointwiseConv(nn.Conv2d):
    """1x1 convolution, calculated as a matrix product on the last axis.

    Shape:
        ``(..., in_channels)`` -> ``(..., out_channels)``.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=1, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the channels of ``x``."""
        return linear(x, self.weight.flatten(1), self.bias)


class ConvNorm(nn.Module):
    """Convolution with bias that keeps the size, then batch normalisation.

    In evaluation mode the normalisation is folded into small convolutions at each call: the same numbers up to
    rounding, one pass over the map less, and nothing to undo when training goes on.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd.
        dilation: distance of the kernel's taps in pixels.
        groups: as in ``nn.Conv2d``.

    Shape:
        ``(B, H, W, in_channels)`` -> ``(B, H, W, out_channels)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 1, dilation: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.padding = dilation * (kernel_size // 2)
        self.dilation = dilation
        self.groups = groups
        self.pointwise = kernel_size == 1 and groups == 1
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=self.padding, dilation=dilation, groups=groups
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.foldable = self.conv.weight.numel() <= FOLDABLE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve and normalise ``x``."""
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        fold = self.foldable and not self.norm.training and not is_compiled()
        if fold:
            norm = self.norm
            scale, shift = norm_affine(norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps)
            weight, bias = weight * scale[:, None, None, None], torch.addcmul(shift, bias, scale)
        if self.pointwise:
            x = linear(x, weight.flatten(1), bias)
        else:
            x = F.conv2d(
                x.permute(0, 3, 1, 2),
                weight,
                bias,
                padding=self.padding,
                dilation=self.dilation,
                groups=self.groups,
            ).permute(0, 2, 3, 1)
        if fold:
            return x
        return self.norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
