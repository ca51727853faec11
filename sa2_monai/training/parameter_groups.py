# SPDX-License-Identifier: Apache-2.0
"""Parameters of an optimiser with layer-wise learning rates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from sa2_monai.networks.stages import stages_of
from sa2_monai.weights import unwrap

__all__ = ["parameter_groups"]


def parameter_groups(
    network: nn.Module, rate: float, layer_decay: float = 1.0
) -> Iterable[nn.Parameter] | list[dict[str, Any]]:
    """What an optimiser gets as ``params``: one group per stage, whose rates fall from the head to the input.

    The head has the learning rate, each stage in front of it that of the stage behind it times ``layer_decay``. The
    first group is the head, whose rate is the one that logs show.

    Args:
        network: may be wrapped by ``DistributedDataParallel``.
        rate: learning rate of the head.
        layer_decay: above 0 and at most 1; 1: all parameters in one group, as without this function.

    Raises:
        ValueError: for a factor out of range, and for a network that is none of the catalogue.

    Example::

        torch.optim.AdamW(parameter_groups(network, 1e-4, layer_decay=0.8), lr=1e-4)
    """
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay must be a factor above 0 and at most 1, got {layer_decay}.")
    if layer_decay == 1:
        return network.parameters()
    named = dict(unwrap(network).named_parameters())
    stages = reversed(stages_of(unwrap(network)))
    return [
        {"params": [named[name] for name in names], "lr": rate * layer_decay**depth}
        for depth, names in enumerate(stages)
    ]
