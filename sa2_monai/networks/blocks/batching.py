# SPDX-License-Identifier: Apache-2.0
"""Batches that a CPU calculates part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

__all__ = ["in_parts"]

PIXELS = 2**16
"""Pixels of the images of one part: about one image of 224 x 224."""


def in_parts(network: nn.Module, calculate: Callable[[torch.Tensor], Any], x: torch.Tensor) -> Any:
    """What ``calculate`` makes of the batch ``x``, in evaluation on a CPU part by part.

    In evaluation images do not see each other, and on a CPU the maps of one image stay in the caches, where those of a
    batch come from the main memory, freshly mapped in each call. In parts there are the same numbers with less memory
    in less time. Whoever records gradients or a graph gets the batch as it is.

    Args:
        network: tells the mode.
        calculate: ``(B, C, H, W)`` -> tensor with B as its first axis.
        x: ``(B, C, H, W)``.

    Returns:
        ``calculate(x)``.
    """
    if network.training or torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return calculate(x)
    parts = x.split(max(1, PIXELS // (x.shape[2] * x.shape[3]))) if x.device.type == "cpu" else (x,)
    return torch.cat([calculate(part) for part in parts]) if len(parts) > 1 else calculate(x)
