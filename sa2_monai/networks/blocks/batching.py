# SPDX-License-Identifier: Apache-2.0
"""Batches that a CPU calculates part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sa2_monai.networks.blocks.recording import records_graph

__all__ = ["in_parts"]

VALUES = 1_300_000
"""Values of the widest map of one part, about 5 MB: one image of 224 x 224 at the fine levels, several at the deep."""


def in_parts(network: nn.Module, calculate: Callable[..., Any], *maps: torch.Tensor, widest: int) -> Any:
    """What ``calculate`` makes of the batch, in evaluation on a CPU part by part.

    In evaluation images do not see each other, and on a CPU the fine maps of one image stay in the caches, where those
    of a batch come from the main memory, freshly mapped in each call. Deep maps are small, and their weights large: a
    part of several images reads the weights once. In parts there are the same numbers with less memory in less time.
    Whoever records gradients or a graph gets the batch as it is.

    Args:
        network: tells the mode.
        calculate: function of ``maps`` that returns a tensor, or a tuple of tensors, with B as first axis.
        maps: tensors with B as first axis.
        widest: number of values, per image, of the largest map that ``calculate`` makes.

    Returns:
        ``calculate(*maps)``.
    """
    x = maps[0]
    if network.training or torch.is_grad_enabled() or records_graph():
        return calculate(*maps)
    images = max(1, VALUES // widest)
    if x.device.type != "cpu" or x.shape[0] <= images:
        return calculate(*maps)
    parts = [calculate(*part) for part in zip(*(y.split(images) for y in maps), strict=True)]
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(parts)
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))
