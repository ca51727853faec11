# SPDX-License-Identifier: Apache-2.0
"""Metadata of a packaged bundle: those of the source, made true for one data set and its weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["eval_metrics", "packaged_metadata"]


def packaged_metadata(
    source: Mapping[str, Any],
    *,
    in_channels: int,
    out_channels: int,
    class_names: Sequence[str],
    divisor: int,
    change: str,
    version: str | None = None,
    results: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Metadata with the channels, classes and sizes of the weights.

    Args:
        source: ``metadata.json`` merged with the overlay of the data set.
        in_channels: of the network.
        out_channels: of the network.
        class_names: background first.
        divisor: of height and width.
        change: line of the changelog for this package.
        version: x.y.z; by default that of the source.
        results: content of ``metrics_summary.json``.

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
        names = {1: ["image"], 3: ["red", "green", "blue"]}.get(in_channels)
        names = names or [f"channel {number}" for number in range(in_channels)]
        image["channel_def"] = {str(number): name for number, name in enumerate(names)}
    image["num_channels"], pred["num_channels"], pred["channel_def"] = in_channels, out_channels, numbered
    for entry in (image, pred):
        if any("*n" in str(size) for size in entry["spatial_shape"]):
            entry["spatial_shape"] = [f"{divisor}*n"] * 2
    if results is not None:
        metadata["eval_metrics"] = eval_metrics(results)
    return metadata


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
