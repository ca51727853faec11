# SPDX-License-Identifier: Apache-2.0
"""Convolution, batch normalisation and activation, in one module each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["ConvNormReLU", "ConvUnit", "UpConvUnit", "double_conv"]


class ConvNormReLU(nn.Module):
    """3x3 convolution with bias, batch normalisation, ReLU.

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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, normalise, rectify."""
        return F.relu(self.norm(self.conv(x)), inplace=True)


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two :class:`ConvNormReLU` in a row, the first of which changes the number of channels."""
    return nn.Sequential(ConvNormReLU(in_channels, out_channels), ConvNormReLU(out_channels, out_channels))


class ConvUnit(nn.Module):
    """Convolution without bias that keeps the size (divided by ``stride``), batch normalisation, activation.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: odd.
        stride: step of the convolution.
        dilation: spacing of its taps.
        activation: ``"relu"``, ``"silu"`` or ``"none"``.
        norm_eps: epsilon of the normalisation.

    Shape:
        ``(B, in_channels, H, W)`` -> ``(B, out_channels, H / stride, W / stride)``.

    Raises:
        ValueError: for another activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        dilation: int = 1,
        activation: str = "relu",
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        activations = {"relu": nn.ReLU(inplace=True), "silu": nn.SiLU(), "none": nn.Identity()}
        if activation not in activations:
            raise ValueError(f"ConvUnit: activation must be 'relu', 'silu' or 'none', got {activation!r}.")
        padding = dilation * (kernel_size - 1) // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, eps=norm_eps)
        self.activation = activations[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, normalise, activate."""
        return self.activation(self.norm(self.conv(x)))


class UpConvUnit(nn.Module):
    """Transposed 3x3 convolution of stride 2 without bias, batch normalisation, ReLU: the size doubles exactly.

    Args:
        channels: channels of input and output.
        norm_eps: epsilon of the normalisation.

    Shape:
        ``(B, channels, H, W)`` -> ``(B, channels, 2 H, 2 W)``.
    """

    def __init__(self, channels: int, norm_eps: float = 1e-5) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=norm_eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enlarge, normalise, rectify."""
        return F.relu(self.norm(self.conv(x)), inplace=True)
