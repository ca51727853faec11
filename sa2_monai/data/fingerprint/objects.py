# SPDX-License-Identifier: Apache-2.0
"""Connected structures of a class in a slice: how many, how large, how thick, whether they touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

__all__ = ["SliceObjects", "is_one_piece", "measure_objects", "touching_share"]

_LARGEST = 2**20  # pixels of a slice that are looked at; of a larger one every n-th row and column


@dataclass(frozen=True)
class SliceObjects:
    """Areas of the structures in pixels, and four times the mean distance of their pixels to the border."""

    areas: np.ndarray
    thickness: float


def measure_objects(mask: np.ndarray, instances: np.ndarray | None = None) -> SliceObjects | None:
    """Structures of one class in one slice; ``None`` where it is not there.

    Args:
        mask: (H, W), where the class is.
        instances: (H, W), numbers of its instances; ``None`` takes connected pixels (also by a corner) for one.
    """
    step = int(np.ceil(np.sqrt(mask.size / _LARGEST)))
    mask = np.ascontiguousarray(mask[::step, ::step])
    if not mask.any():
        return None
    if instances is None:
        numbers, _ = ndimage.label(mask, np.ones((3, 3)))
    else:
        numbers = np.where(mask, instances[::step, ::step], 0)
    areas = np.unique(numbers[numbers != 0], return_counts=True)[1] * float(step**2)
    # Of touching instances each has its own border, which is what a network has to find.
    inside = mask if instances is None else mask & ~_meets_lower(numbers)
    distance = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    return SliceObjects(areas, float(4.0 * distance[mask].mean() * step))


def _meets_lower(numbers: np.ndarray) -> np.ndarray:
    """Where a pixel of an instance has one of an instance of a lower number beside it."""
    everywhere = np.where(numbers == 0, np.iinfo(numbers.dtype).max, numbers)
    return np.asarray(ndimage.minimum_filter(everywhere, 3) < numbers)


def touching_share(instances: np.ndarray) -> float:
    """Share of the instances that have another one as a neighbour.

    Args:
        instances: (H, W), numbers, 0 where there is none.
    """
    touching: set[int] = set()
    for first, second in ((instances[1:], instances[:-1]), (instances[:, 1:], instances[:, :-1])):
        meet = (first != second) & (first != 0) & (second != 0)
        touching.update(np.unique(first[meet]).tolist(), np.unique(second[meet]).tolist())
    everyone = np.unique(instances[instances != 0]).size
    return len(touching) / everyone if everyone else 0.0


def is_one_piece(mask: np.ndarray) -> bool:
    """Whether a class is connected, also over edges and corners.

    Args:
        mask: of any number of axes; something is set.
    """
    return int(ndimage.label(mask, np.ones((3,) * mask.ndim))[1]) == 1
