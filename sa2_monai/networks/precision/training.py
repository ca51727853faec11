# SPDX-License-Identifier: Apache-2.0
"""What keeps a training in bfloat16 on a CPU right."""

from __future__ import annotations

import functools

import torch
from torch import nn

__all__ = ["keep_gradients_right"]


def keep_gradients_right(network: nn.Module) -> int:
    """Let dilated depthwise convolutions calculate in float32 on CPUs, whatever autocast says.

    For such kernels in channels_last memory the oneDNN of PyTorch 2.13 returns gradients of the weights in bfloat16
    that point anywhere: they are 1.4 times their own length away from those in float32. Outputs and the gradients of
    inputs are right, and so are all other layers. Of the five networks MSA2-Net has such a kernel, which it calculates
    in another way unless it is compiled.

    Args:
        network: changed in place; parameters, names and classes stay.

    Returns:
        Number of the layers.
    """
    found = [module for module in network.modules() if isinstance(module, nn.Conv2d) and _is_concerned(module)]
    for layer in found:
        layer._conv_forward = functools.partial(_in_float32, layer)  # type: ignore[method-assign]
    return len(found)


def _is_concerned(layer: nn.Conv2d) -> bool:
    return layer.groups == layer.in_channels > 1 and max(layer.dilation) > 1  # type: ignore[type-var]


def _in_float32(layer: nn.Conv2d, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    if x.device.type != "cpu":
        return nn.Conv2d._conv_forward(layer, x, weight, bias)
    with torch.autocast("cpu", enabled=False):
        return nn.Conv2d._conv_forward(layer, x.float(), weight, bias)
