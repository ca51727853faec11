# SPDX-License-Identifier: Apache-2.0
"""The cases of an evaluation, measured: predictions and references side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.measurements.case import MeasuredCase, measure_case
from sa2_monai.evaluation.measurements.grid import Grid, find_grid
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.instances import numbered_objects
from sa2_monai.io.images.read import read_image
from sa2_monai.io.volumes.read import load_volume

__all__ = ["measure_result"]


def measure_result(result: EvaluationResult, classes: Mapping[int, str]) -> Iterator[MeasuredCase]:
    """Measure the maps of every case that was scored, one after the other.

    Args:
        result: an evaluation by the clinical protocol.
        classes: value -> name, background included.

    Yields:
        Two for each case, its prediction and its reference; a missing prediction has no pixels.

    Raises:
        OSError, ValueError: a file that cannot be read any more, or an image of another size.
    """
    for case in result.cases:
        item = result.load_case(case)
        image = result.images.get(case)
        grid = _grid(item, image)
        values = _values(image, item)
        numbers = _numbers(item, "instances" in result.summary and len(classes) == 2)
        maps = {"prediction": item.predicted, "reference": item.reference}
        for which, labels in maps.items():
            yield measure_case(case, labels, classes, grid, image=values, numbers=numbers[which], which=which)


def _grid(item: LoadedCase, image: Any) -> Grid:
    geometry = item.geometry
    if geometry.affine is not None:
        return find_grid(geometry.source, geometry.affine, ndim=item.reference.ndim)
    if geometry.unit == "mm":
        return find_grid(None, spacing=geometry.spacing, ndim=item.reference.ndim)
    found = find_grid(image if isinstance(image, (str, Path)) else None)
    return find_grid(geometry.source or None) if found.axes is None else found


def _values(image: Any, item: LoadedCase) -> np.ndarray | None:
    """Values of the image of a case, where there is one."""
    if image is None:
        return None
    if not isinstance(image, (str, Path)):
        return np.asarray(image)
    if item.reference.ndim == 2 and item.geometry.affine is None:
        return read_image(image)
    return load_volume(image, flat=True).array.reshape(item.reference.shape)


def _numbers(item: LoadedCase, scored: bool) -> dict[str, np.ndarray | None]:
    """Numbers of the objects of prediction and reference; ``None`` for what is connected."""
    maps = item.instances
    numbers: dict[str, np.ndarray | None] = {"prediction": None, "reference": None}
    if maps is not None:
        numbers = {"prediction": maps.prediction, "reference": maps.reference}
    if scored and numbers["reference"] is None:
        numbers["reference"] = numbered_objects(item.geometry.array, "auto")
    if scored and maps is None and item.raw_prediction is not None:
        numbers["prediction"] = numbered_objects(item.raw_prediction, "auto")
    return numbers
