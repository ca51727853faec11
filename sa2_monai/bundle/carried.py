# SPDX-License-Identifier: Apache-2.0
"""What weights carry in the file beside them, and how it overrules the defaults of a bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.bundle.verbatim import verbatim

__all__ = ["CARRIED", "Carried", "apply_carried", "known_network", "read_carried"]

# What a model knows about itself, under the ids that inference.yaml uses too.
CARRIED = (
    *("in_channels", "out_channels", "class_names", "view", "roi_size", "overlap", "intensity", "channel_order"),
    *("kind", "resize", "slice_axis", "intensity_range", "normalize", "pixdim"),
    *("base_channels", "deep_level", "img_size", "embed_dims", "channel_heads", "window_size"),
    *("encoder", "stem_channels", "encoder_channels", "encoder_depths", "channel_attention_heads"),
)


@dataclass(frozen=True)
class Carried:
    """Settings of trained weights.

    Attributes:
        settings: values by the ids of :data:`CARRIED`; empty when there is no sidecar.
        network: name of the network; that of the bundle's folder when the sidecar does not say it.
        sidecar: the file they come from; ``None`` when there is none.
    """

    settings: dict[str, Any]
    network: str
    sidecar: Path | None


def read_carried(weights: str | os.PathLike[str], bundle: str) -> Carried:
    """Settings from the sidecar of a weight file.

    Args:
        weights: the weight file.
        bundle: name of the bundle's folder that shall use them.

    Raises:
        ValueError: for a damaged sidecar, weights of another network than the bundle's or of none of the catalogue, or
            values that would run code.
    """
    from sa2_monai.weights import read_info
    from sa2_monai.weights.compare import CONVERTERS

    sidecar = Path(weights).with_suffix(".json")
    if not sidecar.is_file():
        return Carried({}, bundle, None)
    info = read_info(weights)
    network = known_network(info.get("network"), sidecar) or bundle
    # A folder of another name is a packaged bundle: there the names of the tensors decide.
    if bundle in CONVERTERS and network != bundle:
        raise ValueError(
            f"{weights} holds weights of the network {network!r}, but the bundle is {bundle!r}. "
            "Choose the bundle of that network with --bundle."
        )
    settings = {key: info[key] for key in CARRIED if info.get(key) is not None}
    for key, value in settings.items():
        _refuse_code(value, key, sidecar)
    return Carried(settings, network, sidecar)


def known_network(name: Any, source: str | os.PathLike[str]) -> str | None:
    """The name of a network that a file names; a name of the catalogue, never part of a path.

    Args:
        name: what stands there; ``None`` where nothing does.
        source: the file, for the message.

    Raises:
        ValueError: it is no name of a network.
    """
    from sa2_monai.weights.compare import CONVERTERS

    if name is not None and name not in list(CONVERTERS):
        raise ValueError(
            f"{os.fspath(source)}: 'network' is {name!r}, expected one of {', '.join(CONVERTERS)}. Correct the file."
        )
    return None if name is None else str(name)


def apply_carried(config: Mapping[str, Any], carried: Carried) -> dict[str, Any]:
    """A configuration with the settings of the weights in place of its own, where it has such ids.

    Args:
        config: content of a configuration file, by id.
        carried: what :func:`read_carried` returned.

    Returns:
        The configuration, for MONAI's parser.
    """
    return {**config, **{key: verbatim(value) for key, value in carried.settings.items() if key in config}}


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
