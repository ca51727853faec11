# SPDX-License-Identifier: Apache-2.0
"""The form in which a network trains; what it computes, and the names of its tensors, stay the same."""

from __future__ import annotations

import functools
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from sa2_monai.networks.blocks.checkpointing import recomputed
from sa2_monai.networks.factory import record_of
from sa2_monai.weights import unwrap

__all__ = ["NetworkForm"]


class NetworkForm:
    """Memory format and activation checkpointing, set when a training starts.

    Args:
        network: network in training; may be wrapped by ``DistributedDataParallel``.
        channels_last: let the kernels of convolutions lie in memory so that maps have their channels last, which
            suits mixed precision on GPUs.
        checkpointing: in training, keep the outputs of the stages alone and compute what lies inside of them again in
            the backward pass, by ``torch.utils.checkpoint``: less memory, about a third more time, the same gradients.

    Raises:
        ValueError: when training starts, for checkpointing of a network whose stages are not known.
    """

    def __init__(self, network: nn.Module, channels_last: bool = False, checkpointing: bool = False) -> None:
        self.network = network
        self.channels_last = channels_last
        self.checkpointing = checkpointing

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, _: Engine) -> None:
        """Give the network its form."""
        network = unwrap(self.network)
        if self.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for module in _stages(network) if self.checkpointing else ():
            if "forward" not in vars(module):  # else it has been started before
                module.forward = functools.partial(_forward, module, module.forward)


def _stages(network: nn.Module) -> list[nn.Module]:
    """Modules of the stages that hold more than one layer; of lists their parts."""
    record = record_of(network)
    if record is None:
        raise ValueError(
            f"checkpointing: {type(network).__name__} is no network of this package, its stages are not known. Leave "
            "checkpointing at false."
        )
    found: list[nn.Module] = []
    for name in [name for stage in record.stages for name in stage]:
        part = network.get_submodule(name)
        found += [*part] if isinstance(part, nn.ModuleList) else [part]
    return [module for module in found if next(module.children(), None) is not None]


def _forward(module: nn.Module, forward: Any, *inputs: Any) -> Any:
    return recomputed(module, forward, *inputs) if module.training else forward(*inputs)
