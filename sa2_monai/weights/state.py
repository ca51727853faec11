# SPDX-License-Identifier: Apache-2.0
"""State dicts without wrappers, and values without foreign types."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["plain", "tensors_of", "unwrap"]


def unwrap(network: nn.Module) -> nn.Module:
    """The network inside ``DistributedDataParallel``, ``DataParallel`` and ``torch.compile``."""
    while True:
        if isinstance(network, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
            network = network.module
        elif isinstance(inner := getattr(network, "_orig_mod", None), nn.Module):
            network = inner
        else:
            return network


def tensors_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers of the unwrapped network on the CPU, each with memory of its own."""
    state = unwrap(network).state_dict()
    # A tensor on the CPU is the network's own memory: a copy, or the next training step would change it.
    return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def plain(value: Any, where: str = "value") -> Any:
    """Turn a value into built-in types and tensors, which ``torch.load(weights_only=True)`` and JSON know.

    NumPy scalars and arrays, paths, devices, types and enumerations become numbers, lists and strings.

    Args:
        value: any nesting of mappings, lists and tuples.
        where: name of the value, for the message.

    Raises:
        TypeError: for a value of another type, naming where it stands.
    """
    if value is None or isinstance(value, Enum):
        return value if value is None else plain(value.value, where)
    if isinstance(value, (bool, int, float, str)):
        # a subclass (numpy.float64 is one of float) would be pickled by its class
        return next(kind(value) for kind in (bool, int, float, str) if isinstance(value, kind))
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (os.PathLike, torch.device, torch.dtype)):
        return str(value)
    if isinstance(value, Mapping):
        return {_plain_key(key, where): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    raise TypeError(f"{where} is a {type(value).__name__}; a file can hold numbers, strings, lists, dicts and tensors.")


def _plain_key(key: Any, where: str) -> str | int:
    if isinstance(key, (str, int)):
        return str(key) if isinstance(key, str) else int(key)
    raise TypeError(f"{where} has the key {key!r}; keys must be strings or whole numbers.")
