# SPDX-License-Identifier: Apache-2.0
"""Metadata of a packaged bundle: those of the source, made true for one data set and its weights."""

from __future__ import annotations

import copy
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.bundle.packaging.texts import channel_names, data_type, description, image_classes, value_range

__all__ = ["EDITABLE", "edit_metadata", "eval_metrics", "installed_versions", "packaged_metadata"]

#: What only people know; ``changelog`` is the line of this version.
EDITABLE = (
    *("name", "task", "description", "authors", "copyright", "data_source", "data_type", "image_classes"),
    *("intended_use", "references", "changelog"),
)


def packaged_metadata(
    source: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    divisor: int,
    change: str,
    version: str | None = None,
    results: Mapping[str, Any] | None = None,
    citation: str = "",
    own_data: bool = False,
) -> dict[str, Any]:
    """Metadata with the channels, classes, values and sizes of the weights.

    Args:
        source: ``metadata.json`` merged with the overlay of the data set.
        settings: values of the configuration by id.
        divisor: of height and width.
        change: line of the changelog for this package.
        version: x.y.z; by default that of the source.
        results: content of ``metrics_summary.json``.
        citation: of the data set.
        own_data: the data are those of whoever trained: the classes name the bundle.

    Returns:
        The content of the new ``metadata.json``.

    Raises:
        ValueError: for a version that is not of the form x.y.z.
    """
    metadata = copy.deepcopy(dict(source))
    version = version or str(metadata.get("version"))
    if len(parts := version.split(".")) != 3 or not all(part.isdigit() for part in parts):
        raise ValueError(f"the version is {version!r}, expected three numbers x.y.z")
    old = dict(metadata.get("changelog", {}))
    before = old.pop(version, None)
    metadata["version"] = version
    metadata["changelog"] = {version: change if before is None else f"{before}; {change}", **old}

    class_names: Sequence[str] = settings["class_names"]
    in_channels, out_channels = settings["in_channels"], settings["out_channels"]
    if own_data:
        found, last = ", ".join(class_names[1:-1]), class_names[-1]
        found = f"{found} and {last}" if found else last
        seen = "images" if settings["kind"] == "images" else "volumes, slice by slice"
        metadata["name"] = f"{str(metadata['name']).partition(' segmentation')[0]} segmentation of {found}"
        metadata["task"] = f"Segmentation of {found} in {seen}"
    metadata["description"] = description(metadata, class_names)
    references = list(metadata.get("references", []))
    metadata["references"] = references + ([citation] if citation and citation not in references else [])
    metadata["data_type"], metadata["image_classes"] = data_type(settings), image_classes(metadata, settings)
    numbered = {str(number): name for number, name in enumerate(class_names)}
    listed = ", ".join(f"{number} is {name}" for number, name in numbered.items())
    metadata["label_classes"] = f"single channel, {listed}"
    if out_channels == 1:
        metadata["pred_classes"] = f"one channel of logits; sigmoid of at least 0.5 is {class_names[-1]}"
    else:
        metadata["pred_classes"] = f"{out_channels} channels of logits; the largest is the class: {listed}"
    formats = metadata["network_data_format"]
    image, pred = formats["inputs"]["image"], formats["outputs"]["pred"]
    if image.get("num_channels") != in_channels or len(image.get("channel_def", {})) != in_channels:
        image["channel_def"] = {str(number): name for number, name in enumerate(channel_names(in_channels))}
    image["num_channels"], pred["num_channels"], pred["channel_def"] = in_channels, out_channels, numbered
    image["value_range"] = value_range(settings)
    for entry in (image, pred):
        entry["is_patch_data"] = settings.get("view") == "windows"
        if any("*n" in str(size) for size in entry["spatial_shape"]):
            entry["spatial_shape"] = [f"{divisor}*n"] * 2
    if results is not None:
        metadata["eval_metrics"] = eval_metrics(results)
    return metadata


def edit_metadata(metadata: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with texts of the person who packages.

    Args:
        metadata: content of ``metadata.json``.
        own: values by the names of :data:`EDITABLE`.

    Raises:
        ValueError: for other names, or values of another type than there is.
    """
    if unknown := sorted(set(own) - set(EDITABLE)):
        raise ValueError(
            f"{', '.join(unknown)} cannot be given for the metadata: the weights and the configurations decide on it. "
            f"These can: {', '.join(EDITABLE)}."
        )
    edited = copy.deepcopy(dict(metadata))
    for key, value in own.items():
        listed = key == "references" and isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        if not listed and (key == "references" or not isinstance(value, str) or not value.strip()):
            expected = "a list of texts" if key == "references" else "a text"
            raise ValueError(f"{key} of the metadata is {value!r}, expected {expected}.")
        if key == "changelog":
            edited[key][edited["version"]] = value
        else:
            edited[key] = value
    return edited


def installed_versions(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with the versions of the packages that are installed here, without their local part (``+cpu``).

    Args:
        metadata: content of ``metadata.json``.

    Raises:
        ModuleNotFoundError: when one of the packages is not installed (``importlib.metadata.PackageNotFoundError``).
    """

    def version(name: str) -> str:
        return importlib.metadata.version(name).partition("+")[0]

    stated = {key: version(name) for key, name in _MAIN_PACKAGES.items()}
    required = {name: version(name) for name in metadata.get("required_packages_version", {})}
    return {**copy.deepcopy(dict(metadata)), **stated, "required_packages_version": required}


_MAIN_PACKAGES = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}


def eval_metrics(results: Mapping[str, Any]) -> dict[str, Any]:
    """The few numbers of an evaluation that metadata hold.

    Args:
        results: content of ``metrics_summary.json``.
    """
    if "paper" in results:
        return {name: round(value, 4) for name, value in results["paper"].items() if isinstance(value, float)}
    found: dict[str, Any] = {}
    for metric, name in (("dice", "mean_dice"), ("jaccard", "mean_iou"), ("hd95", "mean_hd95")):
        value = results["overall"].get(metric, {}).get("mean_of_class_means")
        if value is not None:
            found[name] = round(value, 4)
    return found
