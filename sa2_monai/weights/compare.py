# SPDX-License-Identifier: Apache-2.0
"""Do these weights belong to this network and this configuration? If not, why."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from sa2_monai.networks.catalogue import CATALOGUE
from sa2_monai.weights.encoder_names import encoder_owner
from sa2_monai.weights.state import plain, unwrap

__all__ = [
    "CONVERTERS",
    "SETTINGS",
    "VALIDATED",
    "check_finite",
    "check_info",
    "check_state_dict",
    "check_validated",
    "check_variant",
    "differing_settings",
    "not_finite",
]

CONVERTERS: dict[str, ModuleType] = {
    name: importlib.import_module(f"sa2_monai.weights.published.{name}") for name in CATALOGUE
}
"""One module per network, all with the same functions and ``EVIDENCE``.

Some have in addition ``dead_names`` (which published tensors are dead depends on the others) and ``MISTAKEN_FOR``
(notes about other networks' files).
"""

SETTINGS = (
    *("network", "in_channels", "out_channels", "base_channels", "deep_level", "img_size", "class_names"),
    *("view", "roi_size", "intensity", "channel_order", "slice_axis", "intensity_range", "normalize", "pixdim"),
    *("kind", "resize", "encoder", "variant"),
)
"""What a sidecar and a configuration must agree on: the network, and how it sees an image."""

VALIDATED = ("overlap", "largest_component", "fill_holes", "min_volume")
"""What may be wanted otherwise than in the validation: it changes label maps, not how the network sees an image."""

# Two arithmetics of one view: the published numbers are to be had from any weights that see the whole slice. Archives
# hold slices of volumes.
_NULL_IS_A_VALUE = ("pixdim",)
_SAME = {"view": {"paper": "whole"}, "kind": {"preprocessed": "volumes", "archives": "volumes", "pictures": "images"}}


def check_state_dict(network: nn.Module, state_dict: Mapping[str, torch.Tensor], source: str) -> None:
    """Refuse tensors that do not fit the network exactly, or that are not finite.

    Args:
        network: the network that shall take them, wrapped or not.
        state_dict: tensors by name.
        source: where they come from, for the message.

    Raises:
        ValueError: one message that says what the tensors tell about the network they were made for, and the hint.
    """
    expected = unwrap(network).state_dict()
    name = type(unwrap(network)).__name__
    shapes = [k for k in state_dict if k in expected and state_dict[k].shape != expected[k].shape]
    if set(state_dict) != set(expected):
        raise ValueError(_wrong_names(name, state_dict, expected, source))
    if shapes:
        raise ValueError(_wrong_shapes(name, shapes, state_dict, expected, source))
    check_finite(state_dict, source)


def check_finite(state_dict: Mapping[str, torch.Tensor], source: str) -> None:
    """Refuse tensors with values that are not finite.

    Args:
        state_dict: tensors by name.
        source: where they come from, for the message.

    Raises:
        ValueError: naming the tensors.
    """
    bad = not_finite(state_dict)
    if bad:
        raise ValueError(
            f"{source} has values that are not finite in {_first(bad)}: its training diverged. Use an earlier "
            "checkpoint, or train again with a smaller learning rate."
        )


def not_finite(state_dict: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the tensors with values that are NaN or infinite."""
    return [k for k, value in state_dict.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]


def _wrong_names(
    name: str, state_dict: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], source: str
) -> str:
    for other, converter in CONVERTERS.items():
        if converter.describe_published(state_dict):
            return (
                f"{source} is a published {other} checkpoint with its authors' tensor names. Convert it first: "
                f"sa2-monai import-weights --network {other} {source} OUT.pt"
            )
        theirs, ours = converter.describe(state_dict), converter.describe(expected)
        if theirs and not ours:
            return (
                f"{source} is a checkpoint of another network ({other}), this one is {name}. Give a {name} checkpoint."
            )
        # An option that decides which tensors there are; the others change their shapes only.
        options = [k for k in theirs if k in ours and k not in converter.EVIDENCE and theirs[k] != ours[k]]
        if options:
            facts = "; ".join(
                f"the checkpoint was made with {k}={theirs[k]}, this {name} with {ours[k]}" for k in options
            )
            hint = ", ".join(f"{k}={theirs[k]}" for k in options)
            return f"{source} does not fit: {facts}. Build the network with {hint}, or use another checkpoint."
    if owner := encoder_owner(state_dict):
        here = "" if name.lower() == owner else f" This is {name}, which has another encoder."
        return (
            f"{source} holds ImageNet weights for the encoder of {owner} alone, not a model. Give the file to a "
            f"training of {owner} as encoder_weights, and leave pretrained at null.{here}"
        )
    missing = [k for k in expected if k not in state_dict]
    unknown = [k for k in state_dict if k not in expected]
    common = len(expected) - len(missing)
    parts = [f"{source} is not a checkpoint of this {name}: {common} of {len(expected)} tensor names agree"]
    parts += [f"missing: {_first(missing)}"] if missing else []
    parts += [f"unknown: {_first(unknown)}"] if unknown else []
    return "; ".join(parts) + ". Give a checkpoint of the same network, built with the same options."


def _wrong_shapes(
    name: str,
    wrong: Sequence[str],
    state_dict: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    source: str,
) -> str:
    facts, hints = [], []
    for converter in CONVERTERS.values():
        theirs, ours = converter.describe(state_dict), converter.describe(expected)
        for key in theirs:
            if key in converter.EVIDENCE and key in ours and theirs[key] != ours[key]:
                tensor, axis, what = converter.EVIDENCE[key]
                facts.append(
                    f"{tensor} has {state_dict[tensor].shape[axis]} {what}, this network has "
                    f"{expected[tensor].shape[axis]}: the checkpoint was made with {key}={theirs[key]}"
                )
                hints.append(f"{key}={theirs[key]}")
    if not facts:
        first = wrong[0]
        shape, wanted = list(state_dict[first].shape), list(expected[first].shape)
        facts.append(f"{len(wrong)} tensors differ in shape, e.g. {first} is {shape}, this {name} has {wanted}")
    hint = f"Build the network with {', '.join(hints)}" if hints else "Build the network with the checkpoint's options"
    return f"{source} does not fit: {'; '.join(facts)}. {hint}, or use another checkpoint."


def _first(names: Sequence[str], limit: int = 6) -> str:
    """The first names and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def check_info(
    info: Mapping[str, Any], expected: Mapping[str, Any], source: str | os.PathLike[str], hint: str | None = None
) -> None:
    """Refuse weights that were trained with other settings than those of the configuration.

    Only :data:`SETTINGS` that both sides state are compared; ``None`` states nothing, except of ``pixdim``, where it
    means pixels as they are.

    Args:
        info: sidecar of the weights.
        expected: settings of the configuration.
        source: the weights, for the message.
        hint: what to do; by default, to take over the settings of the weights.

    Raises:
        ValueError: naming each differing setting with both values.
    """
    wrong = differing_settings(info, expected)
    if wrong:
        facts = "; ".join(f"{key} is {theirs!r}, the configuration says {ours!r}" for key, theirs, ours in wrong)
        values = ", ".join(f"{key}={theirs!r}" for key, theirs, _ in wrong)
        hint = hint or f"Set {values} in the configuration, or use weights that were trained with its settings."
        raise ValueError(f"{source} was trained with other settings: {facts}. {hint}")


def differing_settings(info: Mapping[str, Any], expected: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Settings of :data:`SETTINGS` that both sides state otherwise, with their values: name, of the weights, expected.

    Args:
        info: sidecar of the weights.
        expected: settings of the configuration.
    """
    found = []
    for key in SETTINGS:
        theirs, ours = _comparable(info.get(key)), _comparable(expected.get(key))
        same = _SAME.get(key, {})
        if key in _SAME and same.get(theirs, theirs) == same.get(ours, ours):
            continue
        stated = (key in info and key in expected) if key in _NULL_IS_A_VALUE else None not in (theirs, ours)
        if stated and theirs != ours:
            found.append((key, theirs, ours))
    return found


def check_validated(info: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """What changes a label map and is wanted otherwise than it was when the weights were validated.

    Args:
        info: sidecar of the weights.
        expected: settings of the configuration; ``None`` wants nothing else.

    Returns:
        One text for each of :data:`VALIDATED` that differs.
    """
    told = []
    for key in VALIDATED:
        theirs, ours = _comparable(info.get(key)), _comparable(expected.get(key))
        # Of a clean-up, null, false, 0 and an empty list are one: none.
        if key in info and ours is not None and theirs != ours and (theirs or ours):
            told.append(f"{key} is {ours!r}, the weights were validated with {theirs!r}")
    return told


def check_variant(info: Mapping[str, Any], expected: Mapping[str, Any], source: str | os.PathLike[str]) -> None:
    """Refuse weights of another variant of the network; those that say nothing are of the published one.

    Args:
        info: sidecar of the weights; empty when there is none.
        expected: settings of the configuration; nothing is compared where they do not state the variant.
        source: the weights, for the message.

    Raises:
        ValueError: naming both.
    """
    if not info or "variant" not in expected:
        return
    theirs, ours = info.get("variant"), expected["variant"]
    if theirs != ours:
        names = [f"the variant {name!r}" if name else "the published network" for name in (theirs, ours)]
        raise ValueError(
            f"{source} holds weights of {names[0]}, but the configuration builds {names[1]}. Set variant to "
            f"{theirs or 'null'}, or use other weights."
        )


def _comparable(value: Any) -> Any:
    """As JSON would give it back: tuples are lists."""
    value = plain(value)
    if isinstance(value, (list, tuple)):
        return [_comparable(item) for item in value]
    return value
