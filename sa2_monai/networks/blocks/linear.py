# SPDX-License-Identifier: Apache-2.0
"""Linear maps that a CPU trains quickly.

PyTorch gives single-precision matrix products to MKL, which on processors that are not Intel's does without their
widest instructions. oneDNN, by which PyTorch convolves, uses them: forward and backward take half of the time. In
evaluation (:mod:`sa2_monai.networks.accelerate` aside), on GPUs, under autocast, in other precisions, and for tracing,
scripting and compilation, the formula is PyTorch's own.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SMALL", "Linear", "by_onednn", "linear"]

SMALL = 8_000_000
"""Multiplications below which the way to oneDNN costs more than it gains."""

# The operator that torch.compile uses on CPUs; not there where PyTorch was built without oneDNN.
_OPERATOR = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


def by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Linear map of the last axis, ``(..., in) -> (..., out)``, without gradients."""
    y: Tensor = F.linear(x, weight, bias) if _OPERATOR is None else _OPERATOR(x, weight, bias, "none", [], "")
    return y


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, training: bool = False) -> Tensor:
    """``torch.nn.functional.linear``, by oneDNN where a network is trained on a CPU.

    Args:
        x: ``(..., in)``.
        weight: ``(out, in)``.
        bias: ``(out,)``.
        training: mode of the module that calls.
    """
    if not torch.jit.is_scripting() and training and torch.is_grad_enabled() and _trains_on_cpu(x, weight):
        y: Tensor = _Product.apply(x, weight, bias)
        return y
    return F.linear(x, weight, bias)


def _trains_on_cpu(x: Tensor, weight: Tensor) -> bool:
    if x.device.type != "cpu" or not x.dtype == weight.dtype == torch.float32 or x.numel() * len(weight) < SMALL:
        return False
    return not (torch.jit.is_tracing() or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))


class _Product(torch.autograd.Function):
    """Three products: the map, and the gradients for its input and its weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return by_onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        product = F.linear if torch.is_grad_enabled() else by_onednn  # gradients of gradients need PyTorch's own
        rows = gradient.flatten(0, -2)
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            product(gradient, weight.t()) if for_x else None,
            product(rows.t(), x.flatten(0, -2).t()) if for_weight else None,
            rows.sum(0) if for_bias else None,
        )


class Linear(nn.Linear):
    """``torch.nn.Linear``, by oneDNN where it is trained on a CPU (:func:`linear`)."""

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``x``."""
        return linear(x, self.weight, self.bias, self.training)
