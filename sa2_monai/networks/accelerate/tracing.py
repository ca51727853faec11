# SPDX-License-Identifier: Apache-2.0
"""When the faster ways of calculation may stand for the plain ones."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["is_plain_evaluation"]


def is_plain_evaluation(module: nn.Module, x: torch.Tensor) -> bool:
    """Whether a module in evaluation mode is just being calculated, on a CPU.

    Not so in training, where somebody wants gradients, under autocast, on other devices, and where a graph is being
    traced, exported or compiled: all of these get the plain formula.

    Args:
        module: tells the mode.
        x: its input.
    """
    if module.training or torch.is_grad_enabled() or x.device.type != "cpu":
        return False
    return not (torch.jit.is_tracing() or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))
