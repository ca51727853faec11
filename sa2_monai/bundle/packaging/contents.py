# SPDX-License-Identifier: Apache-2.0
"""What a bundle of one network and one data set says: its configurations and metadata, before they are written.

Packages and runs (:mod:`sa2_monai.bundle.run`) are made of the same contents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import find_config, load, merged
from sa2_monai.bundle.network import resolve
from sa2_monai.bundle.packaging.inputs import OWN_DATA
from sa2_monai.bundle.packaging.metadata import packaged_metadata
from sa2_monai.bundle.packaging.model_card import SHOWN
from sa2_monai.data import DATASETS
from sa2_monai.io.kinds import current_word

__all__ = ["BundleContents", "describe_contents", "merged_configs", "merged_metadata", "override", "settings_of"]

#: Overlays of the same layouts whose classes are known.
_SAMPLES = ("sample", "sample_volumes")
_SETTINGS = ("out_channels", *SHOWN)


@dataclass(frozen=True)
class BundleContents:
    """Configurations and metadata of a bundle for one data set.

    Attributes:
        source: folder of the bundle of the architecture.
        dataset: name of the data set.
        train: content of ``train.json``.
        inference: content of ``inference.json``.
        metadata: content of ``metadata.json``.
        settings: how the network sees an image, values by id, for the texts.
    """

    source: Path
    dataset: str
    train: dict[str, Any]
    inference: dict[str, Any]
    metadata: dict[str, Any]
    settings: dict[str, Any]


def describe_contents(
    source: Path,
    dataset: str,
    train: dict[str, Any],
    inference: dict[str, Any],
    metadata: Mapping[str, Any],
    *,
    divisor: int,
    change: str,
    version: str | None = None,
    results: Mapping[str, Any] | None = None,
) -> BundleContents:
    """Make metadata and settings that are true for the configurations.

    Args:
        source: folder of the bundle of the architecture.
        dataset: name of the data set, or of its overlay.
        train: the training configuration with all its values.
        inference: the same for inference.
        metadata: those of the source, see :func:`merged_metadata`.
        divisor: of height and width.
        change: line of the changelog.
        version: x.y.z; by default that of the source.
        results: content of ``metrics_summary.json``, or ``None``.

    Raises:
        ValueError: for a version that is not of the form x.y.z.
    """
    settings = settings_of(inference)
    layout = str(train["layout"])
    described = packaged_metadata(
        metadata,
        settings=settings,
        divisor=divisor,
        change=change,
        version=version,
        results=results,
        citation=DATASETS[layout].citation if layout in DATASETS else "",
        own_data=layout in OWN_DATA and dataset not in _SAMPLES,
    )
    return BundleContents(source, dataset, train, inference, described, settings)


def settings_of(inference: Mapping[str, Any]) -> dict[str, Any]:
    """How the network sees an image, values by id.

    Args:
        inference: the configuration for inference.
    """
    settings = dict(zip(_SETTINGS, resolve(inference, *_SETTINGS), strict=True))
    settings["kind"] = current_word(settings["kind"])
    return settings


def merged_configs(
    source: Path, overlays: Sequence[Path], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Training and inference of one data set. An overlay's ids that only training knows stay out of inference.

    Args:
        source: folder of the bundle of the architecture.
        overlays: files that are merged after its configurations.
        overrides: values by id, which come last; ``a#b`` is a value inside of another.

    Raises:
        FileNotFoundError: a configuration is missing.
        ValueError: neither configuration has such an id.
    """
    train = load(find_config(source, "train"), *overlays)
    base = load(find_config(source, "inference"))
    inference = merged(base, overlays, known=base)
    placed = [name for config in (train, inference) for name in overrides if override(config, name, overrides[name])]
    if "precision" in base:  # that of a training is for its machine, and says nothing about predictions
        inference["precision"] = base["precision"]
    if unknown := sorted(set(overrides) - set(placed)):
        raise ValueError(f"{source.name} has no {', '.join(unknown)}; its switches stand at the top of train.yaml")
    return train, inference


def merged_metadata(source: Path, *extra: Path) -> dict[str, Any]:
    """Metadata of the source for one data set.

    Args:
        source: folder of the bundle of the architecture.
        extra: ``<overlay>_meta.json`` of the data set, and what else is merged after it.

    Raises:
        FileNotFoundError: there is no such file.
    """
    for file in extra:
        if not file.is_file():
            name = file.name.removesuffix("_meta.json")
            raise FileNotFoundError(f"{file}: no such file; it says the names of the classes of {name}.")
    return load(source / "configs" / "metadata.json", *extra)


def override(config: dict[str, Any], name: str, value: Any) -> bool:
    """Set a value where the configuration has its id.

    Args:
        config: the configuration, which is changed.
        name: the id; ``a#b`` is a value inside of another.
        value: the value.

    Returns:
        Whether it has such an id.
    """
    *parents, last = name.replace("::", "#").split("#")
    place: Any = config
    for key in parents:
        if isinstance(place, list) and key.isdigit() and int(key) < len(place):
            place = place[int(key)]
        elif isinstance(place, dict) and key in place:
            place = place[key]
        else:
            return False
    if isinstance(place, list) and last.isdigit() and int(last) < len(place):
        place[int(last)] = value
        return True
    if not isinstance(place, dict) or not (last in place or parents):
        return False
    place[last] = value
    return True
