# SPDX-License-Identifier: Apache-2.0
"""Initialisations that the networks share."""

from __future__ import annotations

import math

import torch
from torch import nn

from sa2_monai.networks.blocks.merged_linear import MergedLinear

__all__ = ["init_he_fan_out", "init_xavier"]


@torch.no_grad()
def init_xavier(module: nn.Module, convolutions: bool = True) -> None:
    """Xavier-uniform weights and zero biases for all linear layers and convolutions inside ``module``, in place.

    Args:
        module: any module; layer norms and free parameters keep what their constructors gave them.
        convolutions: whether convolutions are treated as well.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            parts = layer.parts if isinstance(layer, MergedLinear) else [layer.out_features]
            for weight in layer.weight.split(parts):
                nn.init.xavier_uniform_(weight)
        elif convolutions and isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def init_he_fan_out(module: nn.Module) -> None:
    """Normal weights of variance 2 / (kernel positions x output channels / groups), zero biases, for convolutions."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = math.prod(layer.kernel_size) * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, std=math.sqrt(2.0 / fan_out))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
