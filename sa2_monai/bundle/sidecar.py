# SPDX-License-Identifier: Apache-2.0
"""Model metadata in the file beside weights (``model.json``), and how they overrule the defaults of a bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.io.kinds import EARLIER_KINDS, current_word
from sa2_monai.networks.catalogue import CATALOGUE, network_names, network_record

__all__ = [
    "MODEL_SETTINGS",
    "Sidecar",
    "apply_settings",
    "in_words_of",
    "known_network",
    "read_settings",
    "read_sidecar",
]

#: What a model knows about itself, under the ids that inference.yaml uses too.
MODEL_SETTINGS = (
    *("in_channels", "out_channels", "class_names", "view", "roi_size", "overlap", "intensity", "channel_order"),
    *("kind", "resize", "slice_axis", "intensity_range", "normalize", "pixdim"),
    *dict.fromkeys(option for network in network_names() for option in network_record(network).options),
    *("largest_component", "fill_holes", "min_volume"),
)
# Of the clean-up null means "none" in a training, and "as the weights were validated" when they are used.
_CLEAN_UP = ("largest_component", "fill_holes", "min_volume")
# What else stands in a sidecar.
_RECORD = (
    *("file", "sha256", "bytes", "tensors", "parameters", "sa2_monai", "network"),
    *("select", "epoch", "metric", "metric_name"),
    "temperature",  # see sa2_monai.weights.read_temperature
    "instances",  # settings of objects by class, see sa2_monai.inference.instances
)


@dataclass(frozen=True)
class Sidecar:
    """What stands beside trained weights.

    Attributes:
        settings: values by the ids of :data:`MODEL_SETTINGS`; empty when there is no sidecar.
        network: name of the network; that of the bundle's folder when the sidecar does not say it.
        file: where they come from; ``None`` when there is none.
        members: names of the networks of an ensemble; empty for a single network.
    """

    settings: dict[str, Any]
    network: str
    file: Path | None
    members: tuple[str, ...] = ()


def read_sidecar(weights: str | os.PathLike[str], bundle: str) -> Sidecar:
    """Settings from the sidecar of a weight file.

    Args:
        weights: the weight file.
        bundle: name of the bundle's folder that shall use them.

    Raises:
        ValueError: for a damaged sidecar, weights of another network than the bundle's or of none of the catalogue,
            values that would run code, or that no switch can have.
    """
    from sa2_monai.weights import read_info

    sidecar = Path(weights).with_suffix(".json")
    if not sidecar.is_file():
        return Sidecar({}, bundle, None)
    info = read_info(weights)
    network = known_network(info.get("network"), sidecar) or bundle
    # A folder of another name is a packaged bundle: there the names of the tensors decide.
    if bundle in CATALOGUE and network != bundle:
        which = "the bundle of that network" if network in CATALOGUE else "the run that trained it"
        raise ValueError(
            f"{weights} holds weights of the network {network!r}, but the bundle is {bundle!r}. "
            f"Choose {which} with --bundle."
        )
    members = tuple(str(member["network"]) for member in info.get("ensemble", ()))
    return Sidecar(read_settings(info, sidecar), network, sidecar, members)


def read_settings(info: Mapping[str, Any], sidecar: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings among what a sidecar says, checked; see :data:`MODEL_SETTINGS`.

    Args:
        info: content of the sidecar.
        sidecar: its file, for messages.

    Raises:
        ValueError: for values that would run code or that no switch can have, and for misspelt names.
    """
    from sa2_monai.bundle.switches import check_values, close_match

    settings = {key: info[key] for key in MODEL_SETTINGS if info.get(key) is not None}
    settings |= {key: False for key in _CLEAN_UP if key in info and info[key] is None}
    if "kind" in settings:
        settings["kind"] = current_word(settings["kind"])
    for key, value in settings.items():
        _refuse_code(value, key, Path(sidecar))
    for key in info:
        absent = [one for one in MODEL_SETTINGS if one not in info]
        near = None if key in (*MODEL_SETTINGS, *_RECORD) else close_match(str(key), absent, cutoff=0.85)
        if near:
            raise ValueError(f"{sidecar}: '{key}' is no setting (did you mean {near}?). Correct or remove it.")
    network = info.get("network")
    check_values(settings, str(sidecar), network if isinstance(network, str) else None)
    return settings


def known_network(name: Any, source: str | os.PathLike[str]) -> str | None:
    """The name of a network that a file names; a name of the catalogue, never part of a path.

    Args:
        name: what stands there; ``None`` where nothing does.
        source: the file, for the message.

    Raises:
        ValueError: it is no name of a network.
    """
    if name is not None and name not in network_names():
        raise ValueError(
            f"{os.fspath(source)}: 'network' is {name!r}, expected one of {', '.join(network_names())}. "
            "Correct the file."
        )
    return None if name is None else str(name)


def apply_settings(config: Mapping[str, Any], sidecar: Sidecar) -> dict[str, Any]:
    """A configuration with the settings of the weights in place of its own, where it has such ids.

    Args:
        config: content of a configuration file, by id.
        sidecar: what :func:`read_sidecar` returned.

    Returns:
        The configuration, for MONAI's parser.
    """
    settings = in_words_of(config, sidecar.settings)
    return {**config, **{key: verbatim(value) for key, value in settings.items() if key in config}}


def in_words_of(config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in the words of a configuration: those of a package of version 0.1 compare with the words of then.

    Args:
        config: content of a configuration file, by id.
        settings: values by id.
    """
    if config.get("kind") not in list(EARLIER_KINDS):
        return dict(settings)
    then = {now: earlier for earlier, now in EARLIER_KINDS.items()}
    return {key: then.get(value, value) if key == "kind" else value for key, value in settings.items()}


def _refuse_code(value: Any, key: str, sidecar: Path) -> None:
    """Bundles evaluate ``$...`` as Python and build what ``_target_`` names; a file that came with weights must not."""
    if isinstance(value, Mapping):
        if any(str(name).startswith("_") for name in value):
            raise ValueError(f"{sidecar}: '{key}' would build an object. Only plain values are accepted there.")
        for entry in value.values():
            _refuse_code(entry, key, sidecar)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _refuse_code(entry, key, sidecar)
    elif isinstance(value, str) and value.lstrip()[:1] in ("$", "@", "%"):
        raise ValueError(f"{sidecar}: '{key}' holds the expression {value!r}. Only plain values are accepted there.")
