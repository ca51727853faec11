# SPDX-License-Identifier: Apache-2.0
"""When the faster ways of calculation may stand for the plain ones."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["is_plain_bfloat16", "is_plain_evaluation"]


def is_plain_evaluation(module: nn.Module, x: torch.Tensor) -> bool:
    """Whether a module in evaluation mode is just being calculated, on a CPU.

    Not so in training, where somebody wants gradients, under autocast, on other devices, and where a graph is being
    traced, exported or compiled: all of these get the plain formula.

    Args:
        module: tells the mode.
        x: its input.
    """
    return _is_calculated(module, x) and not torch.is_autocast_enabled("cpu")


def is_plain_bfloat16(module: nn.Linear | nn.Conv2d, x: torch.Tensor) -> bool:
    """The same under autocast to bfloat16.

    Args:
        module: with weights of its own, in float32.
        x: its input.
    """
    if not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return False
    weight = module.weight
    return _is_calculated(module, x) and weight.dtype == torch.float32 and not weight.is_inference()


def _is_calculated(module: nn.Module, x: torch.Tensor) -> bool:
    if module.training or torch.is_grad_enabled() or x.device.type != "cpu":
        return False
    return not (torch.jit.is_tracing() or torch.compiler.is_compiling())
