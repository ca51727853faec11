# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints to state dicts of ours."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch

from sa2_monai.networks import create_network
from sa2_monai.weights.compare import CONVERTERS

__all__ = ["convert_published", "describe_published", "skipped_names"]


def convert_published(name: str, state_dict: Mapping[str, torch.Tensor], **options: Any) -> dict[str, torch.Tensor]:
    """Rename the tensors of a published checkpoint to those of our network.

    Tensors that the published network carries but never uses are left out; everything else must be explained.

    Args:
        name: network, e.g. ``"sa2net"``.
        state_dict: published tensors by name, as :func:`~sa2_monai.weights.read_checkpoint` gives them.
        options: arguments of the network's constructor. Channels and width are read from the tensors; one that is
            given nevertheless must agree with them.

    Returns:
        State dict that ``create_network(name, ...)`` loads with ``strict=True``, in the network's order. The tensors
        are those given, not copies.

    Raises:
        ValueError: for an unknown network name, and for a state dict with unknown tensors, missing tensors or wrong
            shapes: the message lists every one of them.
    """
    converter = _converter(name)
    found = describe_published(name, state_dict)
    if other := [f"{k}={options[k]}, the tensors say {v}" for k, v in found.items() if options.get(k, v) != v]:
        raise ValueError(f"not the {name} checkpoint that was asked for: {'; '.join(other)}.")
    with torch.device("meta"):  # names and shapes only
        # A tensor that would tell a number of channels may be missing: the list below has to say so.
        expected = create_network(name, **{"in_channels": 3, "out_channels": 1, **found, **options}).state_dict()

    converted: dict[str, torch.Tensor] = {}
    unknown, wrong = [], []
    for theirs, value in state_dict.items():
        if converter.is_dead(theirs):
            continue
        ours = converter.published_to_ours(theirs)
        if ours is None or ours not in expected:
            unknown.append(theirs)
            continue
        converted[ours] = value
        if value.shape != expected[ours].shape:
            wrong.append(f"{theirs} {list(value.shape)}, expected {list(expected[ours].shape)}")
    missing = [converter.ours_to_published(ours) for ours in expected if ours not in converted]
    kinds = {"unknown": unknown, "missing": missing, "wrong shape": wrong}
    if lines := [f"{kind}: {'; '.join(names)}" for kind, names in kinds.items() if names]:
        raise ValueError(
            f"not a published {name} checkpoint with {_values(found)}:\n  " + "\n  ".join(lines) + "\n"
            "Nothing was converted: every tensor must be known. Is it a checkpoint of the published code, unmodified?"
        )
    return {ours: converted[ours] for ours in expected}


def describe_published(name: str, state_dict: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Constructor arguments that the tensors of a published checkpoint tell.

    Returns:
        ``in_channels``, ``out_channels`` and, where the network has it, ``base_channels``; without those whose
        tensor is missing.

    Raises:
        ValueError: for an unknown network name, and when the tensors are not of that network.
    """
    found: dict[str, int] = _converter(name).describe_published(state_dict)
    if not found:
        for other, converter in CONVERTERS.items():
            if converter.describe(state_dict):
                raise ValueError(
                    f"this is a state dict of our own {other}, not a published checkpoint: it needs no conversion."
                )
        first = ", ".join(list(state_dict)[:4]) or "nothing"
        raise ValueError(f"not a published {name} checkpoint: its first tensors are {first}.")
    return found


def skipped_names(name: str, state_dict: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the tensors that :func:`convert_published` leaves out because the network never uses them.

    Raises:
        ValueError: for an unknown network name.
    """
    converter = _converter(name)
    return [theirs for theirs in state_dict if converter.is_dead(theirs)]


def _converter(name: str) -> ModuleType:
    if name not in CONVERTERS:
        raise ValueError(f"no converter for network {name!r}; known: {', '.join(sorted(CONVERTERS))}.")
    return CONVERTERS[name]


def _values(found: Mapping[str, int]) -> str:
    return ", ".join(f"{key}={value}" for key, value in found.items())
