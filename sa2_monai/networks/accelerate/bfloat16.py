# SPDX-License-Identifier: Apache-2.0
"""Layers in bfloat16 with weights that are converted and laid out once, not in every call.

Autocast converts the weights of a layer in each call, and oneDNN then brings them into the blocks that it multiplies.
Here both is done in the first call, and again when the weights have changed.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from sa2_monai.networks import blocks
from sa2_monai.networks.accelerate.tracing import is_plain_bfloat16
from sa2_monai.networks.blocks import channels_last, conv_units
from sa2_monai.networks.scale_aware import attention

__all__ = ["ChannelsLastConv", "Conv2d", "ConvMLP", "ConvNormReLU", "convolved", "multiplied"]

# By layer, and beside it: copies and files of a network have no such weights.
_PACKED: weakref.WeakKeyDictionary[nn.Module, tuple[Any, torch.Tensor, torch.Tensor | None]] = (
    weakref.WeakKeyDictionary()
)


def multiplied(layer: nn.Linear | nn.Conv2d, x: torch.Tensor) -> torch.Tensor | None:
    """Linear map of the last axis, ``(..., in) -> (..., out)``, in bfloat16.

    Args:
        layer: a linear layer, or a 1x1 convolution that is calculated as one.
        x: its input.

    Returns:
        What autocast would return; ``None`` where the layer is not just being calculated in bfloat16 on a CPU.
    """
    if not is_plain_bfloat16(layer, x):
        return None
    weight, bias = _packed(layer, x)
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x.bfloat16(), weight, bias, "none", [], "none")
    return found


def convolved(
    layer: nn.Conv2d, x: torch.Tensor, norm: nn.BatchNorm2d | None = None, then: str = "none"
) -> torch.Tensor | None:
    """Convolution of maps ``(B, C, H, W)`` in channels_last memory, in bfloat16; as :func:`multiplied`.

    Args:
        layer: the convolution.
        x: its input.
        norm: batch normalisation behind it, which becomes part of its weights.
        then: what oneDNN does with the sums before they are rounded: ``"none"``, ``"relu"`` or ``"gelu"``.
    """
    plain = is_plain_bfloat16(layer, x) and x.dim() == 4 and layer.padding_mode == "zeros"
    if not plain or isinstance(layer.padding, str) or not x.is_contiguous(memory_format=torch.channels_last):
        return None
    weight, bias = _packed(layer, x, norm)
    form = (layer.padding, layer.stride, layer.dilation, layer.groups)
    found: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(x.bfloat16(), weight, bias, *form, then, [], "none")
    return found


def _packed(
    layer: nn.Linear | nn.Conv2d, x: torch.Tensor, norm: nn.BatchNorm2d | None = None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weights and bias of a layer for oneDNN."""
    of_norm = [] if norm is None else [norm.running_mean, norm.running_var, norm.weight, norm.bias]
    state = [(one.data_ptr(), one._version) for one in (layer.weight, layer.bias, *of_norm) if one is not None]
    found = _PACKED.get(layer)
    if found is None or found[0] != state:
        weight, bias = layer.weight.detach(), layer.bias
        if norm is not None:
            mean, variance, scale, shift = of_norm
            assert mean is not None
            assert variance is not None
            weight, bias = fuse_conv_bn_weights(weight, bias, mean, variance, norm.eps, scale, shift)
        weight = weight.detach().bfloat16()
        if isinstance(layer, (nn.Linear, blocks.PointwiseConv)):
            weight = torch.ops.mkldnn._reorder_linear_weight(weight.flatten(1).contiguous(), x.numel() // x.shape[-1])
        else:
            form = (layer.padding, layer.stride, layer.dilation, layer.groups)
            weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *form, list(x.shape))
        found = _PACKED[layer] = (state, weight, None if bias is None else bias.detach().bfloat16())
    return found[1], found[2]


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d``."""

    def __call__(self, x: torch.Tensor) -> Any:
        """Convolve ``x``."""
        found = convolved(self, x)
        return super().__call__(x) if found is None else found


class ChannelsLastConv(channels_last.ChannelsLastConv):
    """:class:`sa2_monai.networks.blocks.channels_last.ChannelsLastConv`."""

    def __call__(self, x: torch.Tensor) -> Any:
        """Convolve ``x``."""
        found = convolved(self, x.permute(0, 3, 1, 2)) if x.dim() == 4 else None
        return super().__call__(x) if found is None else found.permute(0, 2, 3, 1)


class ConvNormReLU(conv_units.ConvNormReLU):
    """:class:`sa2_monai.networks.blocks.conv_units.ConvNormReLU`."""

    def __call__(self, x: torch.Tensor) -> Any:
        """Convolve, normalise, rectify."""
        fixed = not self.norm.training and self.norm.running_mean is not None
        found = convolved(self.conv, x, self.norm, "relu") if fixed else None
        return super().__call__(x) if found is None else found


class ConvMLP(attention.ConvMLP):
    """:class:`sa2_monai.networks.scale_aware.attention.ConvMLP`."""

    def __call__(self, x: torch.Tensor) -> Any:
        """Transform ``x``."""
        if not is_plain_bfloat16(self.expand, x):
            return super().__call__(x)
        y = self.norm(x)
        y = _gelu(self.position, y).add_(y)
        return self.reduce(_gelu(self.expand, y)).add_(x)


def _gelu(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    found = convolved(layer, x, then="gelu")
    return F.gelu(layer(x)) if found is None else found
