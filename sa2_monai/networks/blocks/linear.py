# SPDX-License-Identifier: Apache-2.0
"""Linear maps: by the faster of two libraries, and of one input in a single matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.recording import records_graph

__all__ = ["Linear", "MergedLinear", "linear", "linear_of_each", "onednn_gains"]

# An operator of PyTorch's own, which torch.compile uses on CPUs; builds without oneDNN do not have it.
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
# Multiplications below which oneDNN's preparation of a call, some 15 microseconds, is more than it gains.
_SMALL = 8_000_000


def onednn_gains(x: torch.Tensor, weight: torch.Tensor, outputs: int) -> bool:
    """Whether oneDNN may calculate the product, and gains by it.

    It knows no gradients, and nothing is to be recorded of it.

    Args:
        x: ``(..., C)``.
        weight: of the linear map, in any shape.
        outputs: number of weights with which each value of ``x`` is multiplied.
    """
    if not _ONEDNN or torch.is_grad_enabled() or records_graph():
        return False
    if x.device.type != "cpu" or weight.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    if x.dtype != torch.float32 or weight.dtype != torch.float32 or x.dim() < 2:
        return False
    return x.numel() * outputs >= _SMALL


def linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, activation: str = "none"
) -> torch.Tensor:
    """Linear map, and what may follow it, in inference on CPUs by oneDNN.

    PyTorch gives single-precision products to MKL, which on processors that are not Intel's is slower than oneDNN by 5
    to 20 % at the shapes of these networks; and oneDNN applies the activation while the result is in the cache.

    Args:
        x: ``(..., C)``.
        weight: ``(D, C)``.
        bias: ``(D,)``.
        activation: ``"none"`` or ``"gelu"``, the one with the error function.

    Returns:
        ``(..., D)``.
    """
    if not torch.jit.is_scripting():  # noqa: SIM102 - TorchScript leaves out what is under this question
        if onednn_gains(x, weight, weight.shape[0]):
            algorithm = "none" if activation == "gelu" else ""
            y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], algorithm)
            return y
    y = F.linear(x, weight, bias)
    return F.gelu(y) if activation == "gelu" else y


def linear_of_each(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Linear map with weights of its own for each image.

    Args:
        x: ``(B, N, C)``.
        weight: ``(B, D, C)``.
        bias: ``(D,)``, of all images.

    Returns:
        ``(B, N, D)``.
    """
    if not torch.jit.is_scripting():  # noqa: SIM102 - TorchScript leaves out what is under this question
        if onednn_gains(x, weight, weight.shape[1]) and x.shape[0] == 1:
            return linear(x, weight[0], bias)
    y = x @ weight.transpose(1, 2)
    return y if bias is None else y + bias


class Linear(nn.Linear):
    """``torch.nn.Linear`` by :func:`linear`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``, (..., in_features) -> (..., out_features)."""
        return linear(x, self.weight, self.bias)


class MergedLinear(Linear):
    """Several linear maps of the same input, their outputs side by side on the last axis.

    Args:
        in_features: width of the input.
        parts: width of each map's output.
        bias: whether the maps have a bias.

    Shape:
        ``(..., in_features)`` -> ``(..., sum(parts))``. Initialisation treats each part as a layer of its own
        (:func:`~sa2_monai.networks.blocks.init_xavier`).
    """

    def __init__(self, in_features: int, parts: Sequence[int], bias: bool = True) -> None:
        super().__init__(in_features, sum(parts), bias)
        self.parts = list(parts)
