# SPDX-License-Identifier: Apache-2.0
"""Structures that are spread over large label maps, as isolated voxels do it to every class of a noisy prediction.

Their boxes are the maps themselves, so that work per box and value is work on whole maps, again and again. Here one
pass over the maps, slab by slab, finds the surface voxels and the counts of all values at once; the distances between
these few points are left to k-d trees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sa2_monai.metrics.boxes import Box
from sa2_monai.metrics.overlap import Counts

__all__ = ["Scattered", "find_scattered", "spread_values"]

_LARGE = 1 << 20  # voxels of a map below which boxes are searched quickly enough
_SLAB = 1 << 18  # voxels that are looked at together: they and what is made of them stay in the processor's cache
_SPARSE = 64  # voxels of the boxes per surface point above which a tree is faster than a search of the boxes


class Scattered(NamedTuple):
    """One structure of two label maps.

    Attributes:
        counts: numbers of voxels.
        points: indices ``(points, axes)`` of the surface voxels in prediction and reference.
    """

    counts: Counts
    points: tuple[np.ndarray, np.ndarray]


def spread_values(boxes: Mapping[int, Sequence[Box]], shape: Sequence[int]) -> dict[int, int]:
    """Values whose boxes fill more than half of a large map, and the voxels of these boxes; without the background."""
    size = int(np.prod(shape))
    voxels = {value: sum(int(np.prod([s.stop - s.start for s in b])) for b in found) for value, found in boxes.items()}
    return {value: number for value, number in voxels.items() if value and size >= _LARGE and 2 * number > size}


def find_scattered(p: np.ndarray, r: np.ndarray, voxels: Mapping[int, int]) -> dict[int, Scattered]:
    """Find counts and surface points of spread values in one pass over two label maps.

    Args:
        p: the prediction, unsigned integers, 2D or 3D; fastest when the last axis is contiguous.
        r: the reference, same shape and type.
        voxels: of :func:`spread_values`.

    Returns:
        Value -> structure; nothing when their surfaces are so many that a search of the boxes is faster, or when the
        maps hold numbers (of instances) above 65535.
    """
    if not voxels or p.dtype.itemsize > 2:
        return {}
    most = sum(voxels.values()) / _SPARSE
    counts = np.zeros((3, int(max(p.max(), r.max())) + 1), dtype=np.int64)
    found: list[list[tuple[np.ndarray, np.ndarray]]] = [[], []]
    number, plane = 0, int(np.prod(p.shape[1:]))
    step = max(1, _SLAB // plane)
    for start in range(0, len(p), step):
        slab = slice(start, min(start + step, len(p)))
        _count(p[slab], r[slab], counts)
        for labels, parts in zip((p, r), found, strict=True):
            points = np.flatnonzero(_surface(labels, slab))
            parts.append((points + start * plane, labels[slab].reshape(-1)[points]))
            number += len(points)
        if number > most:
            return {}
    surfaces = [tuple(map(np.concatenate, zip(*parts, strict=True))) for parts in found]
    return {value: Scattered(_counts(value, counts, p.size), _points(value, surfaces, p.shape)) for value in voxels}


def _count(p: np.ndarray, r: np.ndarray, counts: np.ndarray) -> None:
    """Add the voxels of every value in the prediction, in the reference and in both."""
    foreground = np.flatnonzero(p | r)
    in_p, in_r = p.reshape(-1)[foreground], r.reshape(-1)[foreground]
    for row, values in zip(counts, (in_p, in_r, in_p[in_p == in_r]), strict=True):
        row += np.bincount(values, minlength=len(row))


def _surface(labels: np.ndarray, slab: slice) -> np.ndarray:
    """Voxels of a slab that have a value and a face neighbour with another one or outside the array."""
    here = labels[slab]
    inner = np.zeros(here.shape, dtype=bool)
    low, high = max(slab.start, 1), min(slab.stop, len(labels) - 1)
    if low < high:
        between = inner[low - slab.start : high - slab.start]
        np.equal(labels[low:high], labels[low - 1 : high - 1], out=between)
        between &= labels[low:high] == labels[low + 1 : high + 1]
    for axis in range(1, labels.ndim):
        before, behind = ((slice(None),) * axis + (side,) for side in (slice(None, -1), slice(1, None)))
        same = here[before] == here[behind]
        inner[before] &= same
        inner[behind] &= same
        for end in (0, -1):
            inner[(slice(None),) * axis + (end,)] = False
    return np.asarray((here != 0) > inner)


def _counts(value: int, counts: np.ndarray, size: int) -> Counts:
    in_p, in_r, both = (int(n) for n in counts[:, value])
    return Counts(both, in_p - both, in_r - both, size - in_p - in_r + both)


def _points(
    value: int, surfaces: Sequence[tuple[np.ndarray, ...]], shape: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    p, r = (np.stack(np.unravel_index(flat[values == value], shape), axis=1) for flat, values in surfaces)
    return p, r
