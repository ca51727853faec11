# SPDX-License-Identifier: Apache-2.0
"""How large the objects of a map are, how much their sizes differ, and how crowded they lie.

A map of objects is an integer array, 0 for background and a number for each object; :func:`class_objects` makes one of
a label map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import label

from sa2_monai.metrics.checks import check_spacing

__all__ = ["class_objects", "object_density", "object_sizes", "size_spread", "touching_share"]


def class_objects(labels: np.ndarray) -> np.ndarray:
    """Number the objects of a label map: what is connected, also at a corner, and of one class, is one object.

    Args:
        labels: integer or boolean array of any shape; 0 is background, every other value a class.

    Returns:
        Integer array of the same shape: 0, and 1, 2, ... in the order of the classes.
    """
    labels = np.asarray(labels)
    objects = np.zeros(labels.shape, dtype=np.int64)
    count = 0
    for value in np.unique(labels[labels != 0]):
        found, number = label(labels == value, structure=np.ones((3,) * labels.ndim))
        objects += np.where(found > 0, found + count, 0)
        count += number
    return objects


def object_sizes(objects: np.ndarray) -> np.ndarray:
    """Number of pixels of every object, in the order of their numbers; empty without any.

    Args:
        objects: map of objects.
    """
    values, sizes = np.unique(objects, return_counts=True)
    return np.asarray(sizes[values != 0])


def size_spread(objects: np.ndarray) -> float:
    """Coefficient of variation of the sizes: standard deviation of the objects (``ddof=0``) over their mean.

    Args:
        objects: map of objects.

    Returns:
        0 where all are equally large; no unit. ``NaN`` for fewer than two objects.
    """
    sizes = object_sizes(objects)
    return float(sizes.std() / sizes.mean()) if len(sizes) > 1 else math.nan


def object_density(objects: np.ndarray, spacing: Sequence[float] | float | None = None) -> float:
    """Number of objects by area or volume of the whole map.

    Args:
        objects: map of objects.
        spacing: distance of pixel centres per axis; ``None`` for 1.

    Returns:
        Objects in a square or cube of edge 1 in the unit of ``spacing``, in pixels without one.

    Raises:
        ValueError: for a spacing that is none.
    """
    steps = check_spacing(spacing, objects.ndim)
    return float(len(object_sizes(objects)) / (objects.size * np.prod(steps)))


def touching_share(objects: np.ndarray) -> float:
    """Share of the objects' boundary at which they touch another object.

    The boundary is made of the edges (of volumes: faces) between a pixel of an object and a neighbour that is not of
    it. With T edges between two objects, which belong to both, and B edges between an object and the background, it is
    ``2T / (2T + B)``. The border of the image is no boundary.

    Args:
        objects: map of objects.

    Returns:
        In [0, 1]; ``NaN`` where there is no boundary.
    """
    touching = free = 0
    for axis in range(objects.ndim):
        ahead = np.moveaxis(objects, axis, 0)
        one, other = ahead[:-1], ahead[1:]
        edges = one != other
        both = edges & (one != 0) & (other != 0)
        touching += int(np.count_nonzero(both))
        free += int(np.count_nonzero(edges)) - int(np.count_nonzero(both))
    boundary = 2 * touching + free
    return 2 * touching / boundary if boundary else math.nan
