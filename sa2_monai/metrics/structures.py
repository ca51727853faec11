# SPDX-License-Identifier: Apache-2.0
"""Counts and surface distances of every structure of two label maps: the one core of all surface metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from sa2_monai.metrics.boxes import Box, tight_box, unsigned, value_boxes
from sa2_monai.metrics.checks import check_axes, check_label_pair, check_spacing
from sa2_monai.metrics.nearest import Surfaces, nearest_distances, nearest_distances_of_points, surface_mask
from sa2_monai.metrics.overlap import Counts
from sa2_monai.metrics.scattered import Scattered, find_scattered, spread_values

__all__ = ["Structure", "measure_structures"]


class Structure(NamedTuple):
    """One structure in prediction and reference: what all metrics are computed from.

    Attributes:
        counts: numbers of voxels.
        distances: directed surface distances ``(prediction to reference, reference to prediction)`` as
            :func:`sa2_monai.metrics.surface_distances` returns them; empty vectors where they were not asked for.
    """

    counts: Counts
    distances: tuple[np.ndarray, np.ndarray]


def measure_structures(
    prediction: np.ndarray,
    reference: np.ndarray,
    values: Iterable[int],
    spacing: Sequence[float] | float | None = None,
    *,
    distances: bool = True,
    axes: np.ndarray | None = None,
) -> dict[int, Structure]:
    """Count and measure the structures of two label maps.

    The maps are read once to find the boxes of every value; all else happens inside the boxes of the union of both
    masks, outside of which nothing can change a value. No temporary array has the size of the maps.

    Args:
        prediction: boolean or integer label map, 2D or 3D; values from 0.
        reference: the same for the reference, same shape.
        values: values of the structures, e.g. ``range(1, 9)``.
        spacing: distance of voxel centres per axis, in the axis order of the maps; ``None`` counts voxels.
        distances: whether surface distances are needed.
        axes: step along every axis of the maps as a column, ``(2 or 3, axes)``, where they are not at right angles (the
            directions of a sheared affine); instead of ``spacing``.

    Returns:
        Value -> :class:`Structure`, for all ``values`` in their order, also those that are in neither map.

    Raises:
        ValueError: when a map is neither boolean nor integer, holds a negative value, the shapes differ, the maps are
            not 2D or 3D, the spacing has another length or a value that is not positive, the axes have another shape
            or no extent, or both are given.
    """
    prediction, reference = check_label_pair(prediction, reference)
    if prediction.ndim not in (2, 3):
        raise ValueError(f"masks have shape {prediction.shape}, expected two or three axes")
    if axes is not None:
        if spacing is not None:
            raise ValueError("spacing and axes are given, expected one of them: the axes hold the spacing")
        axes = check_axes(axes, prediction.ndim)
        spacing = np.linalg.norm(axes, axis=0).tolist()
    steps = check_spacing(spacing, prediction.ndim)
    # Along the memory: files are read with the first axis running fastest (NIfTI) or the last one.
    order = sorted(range(reference.ndim), key=lambda axis: -abs(reference.strides[axis]))
    p, r = (np.ascontiguousarray(unsigned(labels).transpose(order)) for labels in (prediction, reference))
    if p.dtype != r.dtype:
        wider = np.promote_types(p.dtype, r.dtype)
        p, r = p.astype(wider, copy=False), r.astype(wider, copy=False)
    wanted = [int(value) for value in values]
    boxes = value_boxes((p, r), wanted)
    turned = None if axes is None else axes[:, order]
    scattered = find_scattered(p, r, spread_values(boxes, p.shape))
    measured = _measure_scattered(scattered, np.diag(steps[order]) if turned is None else turned, distances)
    return {
        value: measured[value]
        if value in measured
        else _measure(p, r, value, boxes.get(value, []), steps[order], distances, turned)
        for value in wanted
    }


def _measure_scattered(found: Mapping[int, Scattered], axes: np.ndarray, distances: bool) -> dict[int, Structure]:
    """Structures that trees measure: all at once in threads, as SciPy lets go of the interpreter for it."""

    def distances_of(value: int, start: int) -> np.ndarray:
        points, goal = found[value].points[start], found[value].points[1 - start]
        if not (len(points) and len(goal)):
            return np.full(len(points), np.inf)
        return nearest_distances_of_points(points, goal, axes)

    if not (found and distances):
        return {value: Structure(one.counts, (np.empty(0), np.empty(0))) for value, one in found.items()}
    with ThreadPoolExecutor() as pool:
        sides = [pool.map(distances_of, found, [start] * len(found)) for start in (0, 1)]
        return {value: Structure(one.counts, (d, e)) for (value, one), d, e in zip(found.items(), *sides, strict=True)}


def _measure(
    p: np.ndarray,
    r: np.ndarray,
    value: int,
    boxes: Sequence[Box],
    steps: np.ndarray,
    distances: bool,
    axes: np.ndarray | None,
) -> Structure:
    in_p = in_r = both = 0
    parts = []
    for box in boxes:
        masks = p[box] == value, r[box] == value
        overlap = masks[0] & masks[1]
        in_p, in_r = in_p + int(np.count_nonzero(masks[0])), in_r + int(np.count_nonzero(masks[1]))
        both += int(np.count_nonzero(overlap))
        if distances:
            tight = tight_box(np.logical_or(*masks, out=overlap))
            corner = [outer.start + inner.start for outer, inner in zip(box, tight, strict=True)]
            parts.append(_surfaces(masks[0][tight], masks[1][tight], corner, steps))
    counts = Counts(both, in_p - both, in_r - both, p.size - in_p - in_r + both)
    # the search runs along the first axis of the boxes, see _surfaces
    order = _axes(steps)
    return Structure(counts, _distances(parts, steps[order], None if axes is None else axes[:, order]))


def _axes(steps: np.ndarray) -> list[int]:
    """Order of the axes for the search: fewest columns are near where the finest axis is the first one."""
    finest = int(np.argmin(steps))
    return [finest, *(axis for axis in range(len(steps)) if axis != finest)]


def _surfaces(p: np.ndarray, r: np.ndarray, corner: Sequence[int], steps: np.ndarray) -> Surfaces:
    axes = _axes(steps)
    masks = [surface_mask(np.ascontiguousarray(mask.transpose(axes))) for mask in (p, r)]
    points = [np.flatnonzero(mask) for mask in masks]
    return Surfaces(tuple(corner[axis] for axis in axes), (masks[0], masks[1]), (points[0], points[1]))


def _distances(parts: Sequence[Surfaces], steps: np.ndarray, axes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    numbers = [sum(len(part.points[which]) for part in parts) for which in (0, 1)]
    if not all(numbers):
        return np.full(numbers[0], np.inf), np.full(numbers[1], np.inf)
    if axes is not None:
        p, r = (np.concatenate([part.indices(which) for part in parts]) for which in (0, 1))
        return nearest_distances_of_points(p, r, axes), nearest_distances_of_points(r, p, axes)
    return nearest_distances(parts, steps, 0), nearest_distances(parts, steps, 1)
