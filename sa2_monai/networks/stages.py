# SPDX-License-Identifier: Apache-2.0
"""Stages of a network from the input to the head: what fine-tuning treats differently."""

from __future__ import annotations

from torch import nn

from sa2_monai.networks.factory import record_of

__all__ = ["head_of", "stages_of"]


def stages_of(network: nn.Module) -> list[list[str]]:
    """Names of the parameters of each stage, from the input to the logits; the last stage is the head.

    The head is what depends on the number of classes, the heads of deep supervision included. Of the modules in
    ``stages`` of the network's record the longest name counts, so that a head can be a part of another module.

    Args:
        network: not wrapped.

    Raises:
        ValueError: for a network that is none of this package, and for one that was given further parts.
    """
    record = record_of(network)
    if record is None:
        raise ValueError(f"{type(network).__name__} is no network of this package: its stages are not known.")
    owners = {module: stage for stage, modules in enumerate(record.stages) for module in modules}
    found: list[list[str]] = [[] for _ in record.stages]
    for name, _ in network.named_parameters():
        module = max((one for one in owners if name.startswith(f"{one}.")), key=len, default=None)
        if module is None:
            raise ValueError(f"{type(network).__name__}: {name} belongs to no stage of {record.class_name}.")
        found[owners[module]].append(name)
    return found


def head_of(network: nn.Module) -> list[str]:
    """Names of all tensors of the head, buffers included: what may be for other classes.

    Args:
        network: not wrapped.

    Raises:
        ValueError: for a network that is none of this package.
    """
    record = record_of(network)
    if record is None:
        raise ValueError(f"{type(network).__name__} is no network of this package: its head is not known.")
    modules = tuple(f"{module}." for module in record.stages[-1])
    return [name for name in network.state_dict() if name.startswith(modules)]
