# SPDX-License-Identifier: Apache-2.0
"""Convolution without bias, batch normalisation and activation, in one module each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.fast_conv import conv3x3, conv3x3_gains
from sa2_monai.networks.blocks.norms import norm_affine

__all__ = ["ConvUnit", "UpConvUnit"]

# Up to this many weights, the maps are larger than the weights at every useful input size, and one pass over the
# weights is cheaper than one over the maps.
_FOLDABLE = 9 * 128 * 128


class ConvUnit(nn.Module):
    """Convolution without bias that keeps the size (divided by ``stride``), batch normalisation, activation.

    In evaluation mode the normalisation of narrow units is folded into the convolution at each call: the same numbers
    up to rounding, one pass over the map less, and nothing to undo when training goes on. On a CPU, 3x3 convolutions
    of wide units take :func:`~sa2_monai.networks.blocks.fast_conv.conv3x3`.

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
        if activation not in ("relu", "silu", "none"):
            raise ValueError(f"ConvUnit: activation must be 'relu', 'silu' or 'none', got {activation!r}.")
        self.stride = stride
        self.padding = dilation * (kernel_size - 1) // 2
        self.dilation = dilation
        self.activation = activation
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, self.padding, dilation=dilation, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels, eps=norm_eps)
        self.foldable = in_channels * out_channels * kernel_size**2 <= _FOLDABLE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, normalise, activate."""
        if torch.jit.is_scripting():
            y = self._convolve(x)
        elif not self.norm.training and self.dilation == 1 and conv3x3_gains(x, self.conv.weight, self.stride):
            scale, shift = self._affine()
            y = conv3x3(x, self.conv.weight, scale, shift, self.stride)
        else:
            y = self._convolve(x)
        if self.activation == "relu":
            return F.relu(y, inplace=True)
        if self.activation == "silu":
            return F.silu(y, inplace=not self.training)  # its gradient needs the input
        return y

    def _affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        norm = self.norm
        return norm_affine(norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps)

    def _convolve(self, x: torch.Tensor) -> torch.Tensor:
        fold = self.foldable and not self.norm.training
        if not torch.jit.is_scripting():
            fold = fold and not torch.compiler.is_compiling()  # compilers fold for themselves
        if not fold:
            return self.norm(self.conv(x))
        scale, shift = self._affine()
        weight = self.conv.weight * scale[:, None, None, None]
        return F.conv2d(x, weight, shift, self.stride, self.padding, self.dilation)


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
