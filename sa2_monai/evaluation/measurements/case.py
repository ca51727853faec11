# SPDX-License-Identifier: Apache-2.0
"""The measurements of one case: a row for each class, and one for each object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sa2_monai.evaluation.measurements.columns import COLUMNS
from sa2_monai.evaluation.measurements.grid import Grid
from sa2_monai.evaluation.measurements.regions import region_values
from sa2_monai.io.images.meaning import luminance
from sa2_monai.metrics.detection import connected_instances

__all__ = ["MeasuredCase", "measure_case"]

_NAN = float("nan")


@dataclass(frozen=True)
class MeasuredCase:
    """What was measured.

    Attributes:
        case: its name.
        grid: where its pixels lie.
        rows: with the columns :data:`~sa2_monai.evaluation.measurements.COLUMNS`; ``NaN`` for what is not known.
    """

    case: str
    grid: Grid
    rows: list[dict[str, Any]]


def measure_case(
    case: str,
    labels: np.ndarray,
    classes: Mapping[int, str],
    grid: Grid,
    *,
    image: np.ndarray | None = None,
    numbers: np.ndarray | None = None,
    which: str = "prediction",
) -> MeasuredCase:
    """Measure a label map.

    Args:
        case: its name.
        labels: class numbers (H, W) or (x, y, z).
        classes: value -> name, background (0) included.
        grid: where the pixels lie.
        image: values (H, W), (H, W, C) or (x, y, z); ``None`` leaves out the intensities.
        numbers: of objects, same shape as the labels; ``None`` takes what is connected for an object.
        which: ``"prediction"`` or ``"reference"``.

    Returns:
        For each class a row of the whole and one for each object; a class that is not there has the first alone.

    Raises:
        ValueError: maps of different shapes.
    """
    values = None if image is None else _grey(image, labels.ndim)
    for name, array in (("image", values), ("instance image", numbers)):
        if array is not None and array.shape != labels.shape:
            raise ValueError(f"case {case}: its {name} has the shape {array.shape}, its label map {labels.shape}")
    foreground = int(np.count_nonzero(labels))
    rows = []
    for value, name in classes.items():
        if value:
            mask = labels == value
            if numbers is None:
                objects = connected_instances(mask)
            else:  # of one class every number is its, also where the label map ends a pixel earlier
                objects = numbers if len(classes) == 2 else np.where(mask, numbers, 0)
            about = {"case": case, "map": which, "class_value": value, "class_name": name}
            for row in _class_rows(mask, objects, values, grid):
                size = row.get("area_px", row.get("voxels", 0))
                shares = {"share_of_image": size / labels.size}
                shares["share_of_foreground"] = size / foreground if foreground else _NAN
                unit = "px" if grid.axes is None else "mm"
                rows.append({**dict.fromkeys(COLUMNS, _NAN), **about, **row, **shares, "unit": unit})
    return MeasuredCase(case, grid, rows)


def _class_rows(mask: np.ndarray, objects: np.ndarray, values: np.ndarray | None, grid: Grid) -> list[dict[str, Any]]:
    of_objects = region_values(objects, values, grid)
    size = ("area_px", "area_mm2") if mask.ndim == 2 else ("voxels", "volume_ml")
    measure = 0.0 if grid.axes is not None else _NAN
    whole: dict[str, Any] = {size[0]: 0, size[1]: measure}
    if mask.any():
        whole = region_values(mask.astype(np.uint8), values, grid)[0]
    # the distance between two objects is no diameter of anything
    whole |= {name: max((row[name] for row in of_objects), default=_NAN) for name in ("diameter_px", "diameter_mm")}
    return [{**whole, "object": _NAN, "count": len(of_objects)}, *({**row, "count": 1} for row in of_objects)]


def _grey(image: np.ndarray, ndim: int) -> np.ndarray:
    if image.ndim == ndim:
        return image
    return np.asarray((luminance(image) if image.shape[-1] == 3 else image)[..., 0])
