# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints to state dicts of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import torch

from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE
from sa2_monai.weights.compare import CONVERTERS
from sa2_monai.weights.encoder_names import encoder_owner

__all__ = ["convert_published", "describe_published", "skipped_names"]


def convert_published(name: str, state_dict: Mapping[str, torch.Tensor], **options: Any) -> dict[str, torch.Tensor]:
    """Rename the tensors of a published checkpoint to those of our network.

    Tensors that the published network carries but never uses are left out; everything else must be explained.

    Args:
        name: network, e.g. ``"sa2net"``.
        state_dict: published tensors by name, as :func:`~sa2_monai.weights.read_checkpoint` gives them.
        options: arguments of the network's constructor. What :func:`describe_published` reads from the tensors need
            not be given, and must agree with them if it is; but ``in_channels=1`` is possible where the network
            repeats one channel to three.

    Returns:
        State dict that ``create_network(name, ...)`` loads with ``strict=True``, in the network's order. The tensors
        are those given, not copies, but for those that are put together from several.

    Raises:
        ValueError: for an unknown network name; for options with which the network has parts that the published one
            never has; and for a state dict with unknown tensors, missing tensors or wrong shapes: the message lists
            every one of them.
    """
    found = describe_published(name, state_dict)
    _check_options(name, found, options)
    with torch.device("meta"):  # names and shapes only
        # A tensor that would tell a number of channels may be missing: the list below has to say so.
        expected = create_network(name, **{"in_channels": 3, "out_channels": 1, **found, **options}).state_dict()
    sources = _sources(name, expected, options)

    converted: dict[str, torch.Tensor] = {}
    wrong = []
    for ours, names in sources.items():
        if any(theirs not in state_dict for theirs in names):
            continue
        parts = [state_dict[theirs] for theirs in names]
        wanted = expected[ours].shape
        if fault := _fit(parts, wanted):
            shapes = " and ".join(f"{n} {list(v.shape)}" for n, v in zip(names, parts, strict=True))
            wrong.append(f"{shapes}, expected {fault}")
            continue
        if wanted:  # a 1x1 convolution is a linear map of the channels; counters have no axes
            parts = [value.reshape(value.shape[0], *wanted[1:]) for value in parts]
        converted[ours] = parts[0] if len(parts) == 1 else torch.cat(parts)
    used = {theirs for names in sources.values() for theirs in names}
    explained = used.union(skipped_names(name, state_dict))
    kinds = {
        "unknown": [theirs for theirs in state_dict if theirs not in explained],
        "missing": [theirs for names in sources.values() for theirs in names if theirs not in state_dict],
        "wrong shape": wrong,
    }
    if lines := [f"{kind}: {'; '.join(names)}" for kind, names in kinds.items() if names]:
        raise ValueError(
            f"not a published {name} checkpoint with {_values({**found, **options})}:\n  " + "\n  ".join(lines) + "\n"
            "Nothing was converted: every tensor must be known. Is it a checkpoint of the published code, unmodified?"
        )
    return converted


def describe_published(name: str, state_dict: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Constructor arguments that the tensors of a published checkpoint tell: all that differ between its checkpoints.

    Returns:
        ``in_channels``, ``out_channels`` and, where the network has it, ``base_channels`` (``sa2net``, ``svanet``) or
        ``deep_level`` (``msa2net``); without those whose tensor is missing.

    Raises:
        ValueError: for an unknown network name, and when the tensors are not of that network.
    """
    found: dict[str, Any] = _converter(name).describe_published(state_dict)
    if not found:
        for other, converter in CONVERTERS.items():
            if converter.describe_published(state_dict):
                note = getattr(_converter(name), "MISTAKEN_FOR", {}).get(other, "")
                raise ValueError(
                    f"this is a published {other} checkpoint, not one of {name}: import it with --network {other}."
                    f"{note}"
                )
            if converter.describe(state_dict):
                raise ValueError(
                    f"this is a state dict of our own {other}, not a published checkpoint: it needs no conversion."
                )
        if owner := encoder_owner(state_dict):
            raise ValueError(
                f"these are ImageNet weights for the encoder of {owner}, not a checkpoint of {name}: give the file "
                f"to the training of {owner} as 'encoder_weights', it needs no conversion."
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
    if hasattr(converter, "dead_names"):  # what is dead depends on the other tensors
        return list(converter.dead_names(state_dict))
    return [theirs for theirs in state_dict if converter.is_dead(theirs)]


def _check_options(name: str, found: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Refuse options that contradict the tensors."""
    told = dict(found)
    if CATALOGUE[name].grey_as_colour and options.get("in_channels") == 1:
        told.pop("in_channels", None)
    if other := [f"{k}={options[k]}, the tensors say {v}" for k, v in told.items() if options.get(k, v) != v]:
        raise ValueError(f"not the {name} checkpoint that was asked for: {'; '.join(other)}.")


def _sources(name: str, expected: Iterable[str], options: Mapping[str, Any]) -> dict[str, list[str]]:
    """The published tensors that make each tensor of ours."""
    converter = _converter(name)
    sources, others = {}, []
    for ours in expected:
        try:
            theirs = converter.ours_to_published(ours)
        except KeyError:  # the tables end with the published configurations
            others.append(ours)
            continue
        sources[ours] = [theirs] if isinstance(theirs, str) else list(theirs)
    if others:
        more = f" and {len(others) - 4} more" if len(others) > 4 else ""
        raise ValueError(
            f"with {_values(options)}, {name} has tensors that no published checkpoint has: {', '.join(others[:4])}"
            f"{more}. Convert without these options."
        )
    return sources


def _fit(parts: Sequence[torch.Tensor], wanted: torch.Size) -> str:
    """Empty when the parts, put together on the first axis, have the shape; else the shape in words."""
    shapes = [p.shape[:2] if p.ndim == 4 and len(wanted) == 2 and p.shape[2:] == (1, 1) else p.shape for p in parts]
    if len(parts) == 1:
        return "" if shapes[0] == wanted else str(list(wanted))
    ranks = all(len(shape) == len(wanted) for shape in shapes)
    if ranks and sum(s[0] for s in shapes) == wanted[0] and all(s[1:] == wanted[1:] for s in shapes):
        return ""
    return f"{list(wanted)} together"


def _converter(name: str) -> ModuleType:
    if name not in CONVERTERS:
        raise ValueError(f"no converter for network {name!r}; known: {', '.join(sorted(CONVERTERS))}.")
    return CONVERTERS[name]


def _values(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in found.items())
