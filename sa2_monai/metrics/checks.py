# SPDX-License-Identifier: Apache-2.0
"""Checks of the arrays that the metrics work on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["LENGTH_TOLERANCE", "at_most", "check_axes", "check_label_pair", "check_mask_pair", "check_spacing"]

#: Relative difference of two lengths that are the same: NIfTI keeps spacings in single precision (0.4 becomes
#: 0.4000000060), MHA and NRRD in double, and a distance of 5 voxels of 0.4 mm is within 2 mm in all of them.
LENGTH_TOLERANCE = 1e-6


def at_most(lengths: np.ndarray | float, limit: float) -> np.ndarray:
    """Whether lengths (distances, spacings, not negative) do not exceed a limit, equal ones up to their rounding."""
    return np.asarray(lengths) <= limit * (1 + LENGTH_TOLERANCE)


def check_mask_pair(prediction: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check two masks of one structure and return them as boolean arrays.

    Args:
        prediction: boolean or integer array of any shape; non-zero is foreground.
        reference: the same for the reference, same shape.

    Returns:
        The two masks as boolean arrays (not copied when they are boolean already).

    Raises:
        ValueError: when a mask is neither boolean nor integer, or the shapes differ.
    """
    prediction, reference = check_label_pair(prediction, reference)
    return prediction.astype(bool, copy=False), reference.astype(bool, copy=False)


def check_label_pair(prediction: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check two label maps: boolean or integer arrays of one shape.

    Raises:
        ValueError: when a map is neither boolean nor integer, has no axis, or the shapes differ.
    """
    arrays = []
    for name, mask in (("prediction", prediction), ("reference", reference)):
        array = np.asarray(mask)
        if array.dtype.kind not in "bui":
            raise ValueError(f"{name} has data type {array.dtype}, expected boolean or integer: threshold it first")
        if array.ndim < 1:
            raise ValueError(f"{name} is a single number, expected an array")
        arrays.append(array)
    if arrays[0].shape != arrays[1].shape:
        raise ValueError(f"prediction has shape {arrays[0].shape}, reference {arrays[1].shape}: expected equal shapes")
    return arrays[0], arrays[1]


def check_spacing(spacing: Sequence[float] | float | None, ndim: int) -> np.ndarray:
    """Return the spacing as a float64 vector with one positive number per axis.

    Args:
        spacing: one number per axis, one number for all axes, or ``None`` for unit spacing.
        ndim: number of axes of the array.

    Raises:
        ValueError: when the length is not ``ndim`` or a value is not a positive finite number.
    """
    if spacing is None:
        return np.ones(ndim)
    try:
        vector = np.asarray(spacing, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"spacing is {spacing!r}, expected {ndim} positive numbers, one per axis") from error
    if vector.ndim == 0:
        vector = np.full(ndim, float(vector))
    if vector.shape != (ndim,):
        raise ValueError(f"spacing {spacing!r} has shape {vector.shape}, expected {ndim} numbers, one per axis")
    if not (np.isfinite(vector).all() and (vector > 0).all()):
        raise ValueError(f"spacing is {spacing!r}, expected positive finite numbers")
    return vector


def check_axes(axes: np.ndarray, ndim: int) -> np.ndarray:
    """Return the steps along the axes of an array as the float64 columns of a matrix.

    Args:
        axes: ``(2 or 3, ndim)``: the directions of an affine.
        ndim: number of axes of the array.

    Raises:
        ValueError: for another shape, or columns that are not finite, have no length or lie in one plane.
    """
    matrix = np.asarray(axes, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != ndim or not ndim <= matrix.shape[0] <= 3:
        raise ValueError(f"axes have shape {matrix.shape}, expected a column for each of the {ndim} axes")
    if not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix) < ndim:
        raise ValueError(f"axes are {matrix.tolist()}, expected finite columns that span {ndim} dimensions")
    return matrix
