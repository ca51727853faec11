# SPDX-License-Identifier: Apache-2.0
"""The values of numbered regions, by scikit-image where it has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import find_objects
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from skimage.measure import regionprops_table

from sa2_monai.evaluation.measurements.grid import Grid

__all__ = ["region_values"]

_INTENSITIES = ("mean_intensity", "std_intensity")


def region_values(numbers: np.ndarray, image: np.ndarray | None, grid: Grid) -> list[dict[str, Any]]:
    """Measure the regions of a map.

    Args:
        numbers: (H, W) or (x, y, z), 0 for background.
        image: values of the same shape; ``None`` leaves out the intensities.
        grid: where the pixels lie.

    Returns:
        For every number, ascending: ``object`` and the columns of areas, lengths and intensities that it has.
    """
    numbers = numbers.astype(np.int32, copy=False)
    flat = numbers.ndim == 2
    wanted = ["label", "area", *(["perimeter"] if flat else [])]
    if image is not None:
        image = image.astype(np.float64)
        wanted += ["intensity_mean", "intensity_std"]
    found = regionprops_table(numbers, image, properties=wanted)
    boxes = find_objects(numbers)
    rows = []
    for index, number in enumerate(found["label"].tolist()):
        count = int(found["area"][index])
        mask = numbers[boxes[number - 1]] == number
        row: dict[str, Any] = {"object": number, "diameter_px": _diameter(mask, np.eye(numbers.ndim))}
        row["diameter_mm"] = float("nan") if grid.axes is None else _diameter(mask, grid.axes)
        if flat:
            perimeter = float(found["perimeter"][index])
            row.update(area_px=count, area_mm2=count * grid.measure)
            row.update(perimeter_px=perimeter, perimeter_mm=perimeter * grid.side)
        else:
            row.update(voxels=count, volume_ml=count * grid.measure / 1000)
        if image is not None:
            values = (float(found[name][index]) for name in ("intensity_mean", "intensity_std"))
            row.update(zip(_INTENSITIES, values, strict=True))
        rows.append(row)
    return rows


def _diameter(mask: np.ndarray, axes: np.ndarray) -> float:
    """Largest distance of two points of the border, which runs halfway between the pixels in and out.

    The points are the middles of the sides of all pixels, as those of the contours of scikit-image; those of the convex
    hull suffice.

    Args:
        mask: of one region.
        axes: steps along the axes, as columns.
    """
    inner = np.pad(mask, 1)
    points = []
    for axis in range(mask.ndim):
        for step in (-1, 1):
            border = np.argwhere(inner & ~np.roll(inner, -step, axis)).astype(np.float64)
            border[:, axis] += 0.5 * step
            points.append(border)
    every = np.concatenate(points)
    hull = every[ConvexHull(every).vertices]
    return float(pdist(hull @ axes.T).max())
