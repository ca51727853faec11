# SPDX-License-Identifier: Apache-2.0
"""Size of the largest object of an image, by pixels and by outer contour.

The contour form is that of the published size evaluation of SvANet: closing with a 2x2 element twice, outer contours,
area of the polygon through the pixel centres with holes filled. It is computed without OpenCV: the polygon through the
border pixels of a filled 8-connected object encloses exactly the unit squares of four set pixel centres plus half of
each square with three (equal to OpenCV 4.11 and 5.0 on random masks).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_fill_holes, find_objects, label

from sa2_monai.metrics.objects import class_objects, object_sizes

__all__ = ["largest_contour_percent", "largest_object_percent"]

_EIGHT = np.ones((3, 3), dtype=bool)


def _check(mask: np.ndarray, dimensions: tuple[int, ...] = (2,)) -> np.ndarray:
    array = np.asarray(mask)
    if array.dtype.kind not in "bui" or array.ndim not in dimensions or array.size == 0:
        raise ValueError(
            f"mask has data type {array.dtype} and shape {array.shape}, expected a boolean or integer map (H, W)"
        )
    return array


def largest_object_percent(mask: np.ndarray) -> float:
    """Pixel count of the largest object of one class, connected also at corners, in percent of the image.

    Args:
        mask: integer or boolean map, ``(H, W)`` or ``(X, Y, Z)``; 0 is background, every other value a class of its
            own.

    Raises:
        ValueError: when the map has another shape or is not integer.
    """
    array = _check(mask, (2, 3))
    return 100.0 * int(object_sizes(class_objects(array)).max(initial=0)) / array.size


def _closed(mask: np.ndarray) -> np.ndarray:
    """Closing with a 2x2 element, twice, as OpenCV does it: the anchor is the lower right pixel, so shapes move."""
    height, width = mask.shape
    for grow in (True, False):
        # twice 2x2 is once 3x3 with the anchor in its last corner; outside is neutral for both steps
        padded = np.pad(mask, ((2, 0), (2, 0)), constant_values=not grow)
        shifts = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
        mask = np.logical_or.reduce(shifts) if grow else np.logical_and.reduce(shifts)
    return mask


def _polygon_area(component: np.ndarray) -> float:
    """Area of the polygon through the border pixel centres of one 8-connected object, holes filled."""
    filled = binary_fill_holes(np.pad(component, 1)).astype(np.int8)
    quads = filled[:-1, :-1] + filled[1:, :-1] + filled[:-1, 1:] + filled[1:, 1:]
    return float(np.count_nonzero(quads == 4) + 0.5 * np.count_nonzero(quads == 3))


def largest_contour_percent(mask: np.ndarray) -> float:
    """Area of the largest outer contour over all non-zero values, in percent of the image (published definition).

    Args:
        mask: integer or boolean map ``(H, W)`` at the original size; each non-zero value is taken by itself.

    Raises:
        ValueError: when the map is not 2D or not integer.
    """
    array = _check(mask)
    largest = 0.0
    for value in np.unique(array[array != 0]):
        objects, _ = label(_closed(array == value), structure=_EIGHT)
        for index, box in enumerate(find_objects(objects), start=1):
            largest = max(largest, _polygon_area(objects[box] == index))
    return 100.0 * largest / array.size
