# SPDX-License-Identifier: Apache-2.0
"""Members that see an image in different ways: their ways as plain values, and a configuration that uses them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monai.bundle import ConfigComponent, ConfigParser

from sa2_monai.bundle.ensemble.members import SEEN, Member
from sa2_monai.weights import read_temperature

__all__ = ["look_one_by_one", "see_alike", "views_of"]

_INFERER = "sa2_monai.inference.EnsembleInferer"
_SCALE = "sa2_monai.slices.scale_intensity"
#: Arguments of an inferer that hold for all members, as the configuration says them.
_SHARED = ("batch_size", "orientations", "output", "tta", "uncertainty", "dropout_samples", "temperature", "runtime")


def see_alike(members: Sequence[Member]) -> bool:
    """Whether all members get one and the same image.

    Args:
        members: of an ensemble.
    """
    return all(member.values[name] == members[0].values[name] for member in members for name in SEEN)


def views_of(members: Sequence[Member]) -> list[dict[str, Any]]:
    """How each member sees, plain values for :class:`~sa2_monai.inference.EnsembleInferer`.

    Args:
        members: of an ensemble.

    Raises:
        ValueError: members that were trained on preprocessed files, whose steps depend on the file.
    """
    first = members[0]
    if first.values["kind"] == "preprocessed":
        raise ValueError(
            f"{first.bundle} was trained on preprocessed files; an ensemble of such members needs one and the same view"
        )
    return [_view(member, first.values["channel_order"]) for member in members]


def look_one_by_one(config: dict[str, Any], views: Sequence[Mapping[str, Any]], class_names: Sequence[str]) -> None:
    """Change a configuration: the image stays as it was read, and each member sees it in its own way.

    Args:
        config: content of ``inference`` or ``train``.
        views: see :func:`views_of`.
        class_names: background first.
    """
    config["out_channels"] = len(class_names)
    for step in _steps(config):
        step["intensity"] = "none"
    place = config if "inferer" in config else config["validate"]
    kind = "@input_kind" if "input_kind" in config else "@kind"
    shared = {name: place["inferer"][name] for name in _SHARED if name in place["inferer"]}
    place["inferer"] = {"_target_": _INFERER, "members": list(views), "kind": kind, **shared}


def _view(member: Member, channel_order: str | None) -> dict[str, Any]:
    values = member.values
    config = {**member.config, "input_kind": values["kind"]}
    (scale,) = _steps(config)
    arguments = _arguments({**config, "scale_of_a_member": scale}, "scale_of_a_member")
    view = _arguments(config, "slice_view")
    temperature = read_temperature(member.weights)
    return {
        **({} if temperature is None else {"temperature": temperature}),
        "view": {name: value for name, value in view.items() if name != "divisor"},
        "scale": {name: value for name, value in arguments.items() if name not in ("kind", "key")},
        "slice_axis": values["slice_axis"] or "axial",
        "overlap": 0.5 if values["overlap"] is None else values["overlap"],
        "sigmoid": values["out_channels"] == 1,
        "reverse_channels": values["channel_order"] != channel_order,
    }


def _arguments(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = ConfigParser(copy.deepcopy(dict(config))).get_parsed_content(name, instantiate=False)
    assert isinstance(found, ConfigComponent)
    return {key: value for key, value in found.get_config().items() if not key.startswith("_")}


def _steps(config: Any) -> Iterator[dict[str, Any]]:
    """The steps that scale intensities, wherever they stand in a configuration."""
    if isinstance(config, dict):
        if config.get("_target_") == _SCALE:
            yield config
        for value in config.values():
            yield from _steps(value)
    elif isinstance(config, list):
        for value in config:
            yield from _steps(value)
