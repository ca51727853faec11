# SPDX-License-Identifier: Apache-2.0
"""How the grids of two label maps differ, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sa2_monai.io.label_maps import LabelMap
from sa2_monai.io.volumes.geometry import corner_distance
from sa2_monai.io.volumes.lattice import TOLERANCE, Fit, fit_grid, relative_turn, voxel_distance

__all__ = ["fit_of", "grid_difference", "same_lattice"]

_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    return "(" + ", ".join(f"{round(float(v), 4) + 0.0:g}" for v in values) + ")"


def _directions(affine: np.ndarray, ndim: int) -> np.ndarray:
    columns = affine[:3, :ndim]
    return np.asarray(columns / np.linalg.norm(columns, axis=0))


def _orientation(directions: np.ndarray) -> str:
    """Where the axes point to, by their largest component: RAS, LPS, ..."""
    letters = ""
    for column in directions.T:
        axis = int(np.argmax(np.abs(column)))
        letters += _LETTERS[axis][int(column[axis] > 0)]
    return letters


def fit_of(prediction: LabelMap, reference: LabelMap) -> Fit | None:
    """How the grid of a prediction fits that of its reference, once its axes are in the same order.

    Args:
        prediction: label map, 2D or 3D.
        reference: the other one.

    Returns:
        ``None`` where one of the two has no affine, or another number of axes.
    """
    if prediction.affine is None or reference.affine is None or prediction.array.ndim != reference.array.ndim:
        return None
    return fit_grid(_three(prediction), prediction.affine, _three(reference), reference.affine)


def _three(label: LabelMap) -> tuple[int, int, int]:
    """Shape, of a 2D map as a volume of one slice."""
    x, y, z = (*label.array.shape, 1)[:3]
    return x, y, z


def grid_difference(prediction: LabelMap, reference: LabelMap) -> str:
    """Say how two grids differ, axes of the prediction as they are stored.

    Returns:
        What differs of shape, spacing, origin and orientation, with the values of both; an empty text when the shapes
        are equal and no corner lies further than 1 % of a voxel from its counterpart.
    """
    if (prediction.affine is None) != (reference.affine is None):
        which = "prediction" if prediction.affine is None else "reference"
        return f"the {which} has no physical geometry while the other has"
    found = []
    if prediction.array.shape != reference.array.shape:
        found.append(f"shape: the prediction has {prediction.array.shape}, the reference {reference.array.shape}")
    if prediction.affine is None or reference.affine is None or prediction.array.ndim != reference.array.ndim:
        return "; ".join(found)
    shape, ndim = _three(reference), reference.array.ndim
    voxels = voxel_distance(shape, prediction.affine, reference.affine)
    if voxels <= TOLERANCE:
        return "; ".join(found)
    smallest = TOLERANCE * min(reference.spacing)
    # a relative difference that no grid of thousands of voxels turns into the tolerance at a corner
    if not np.allclose(prediction.spacing, reference.spacing, rtol=TOLERANCE / 1e4, atol=0):
        found.append(
            f"spacing in mm: the prediction has {_numbers(prediction.spacing)}, the reference "
            f"{_numbers(reference.spacing)}"
        )
    origins = prediction.affine[:3, 3], reference.affine[:3, 3]
    if np.linalg.norm(origins[0] - origins[1]) > smallest:
        found.append(f"origin in mm: the prediction has {_numbers(origins[0])}, the reference {_numbers(origins[1])}")
    axes = [_directions(label.affine, ndim) for label in (prediction, reference) if label.affine is not None]
    codes = [_orientation(directions) for directions in axes]
    if codes[0] != codes[1]:
        found.append(f"orientation: the prediction has {codes[0]}, the reference {codes[1]}")
    else:
        # from the sine, which stays exact for small angles
        sines = np.linalg.norm(np.cross(axes[0].T, axes[1].T), axis=1)
        angle = float(np.degrees(np.arcsin(np.clip(sines.max(), 0, 1))))
        if angle > 1e-4:
            found.append(f"orientation: the axes are turned against each other by {angle:.4g} degrees")
    distance = corner_distance(shape, prediction.affine, reference.affine)
    found.append(f"the grids are up to {distance:.4g} mm ({voxels:.2g} voxels) apart, more than 1 % of a voxel")
    return "; ".join(found)


def same_lattice(prediction: LabelMap, reference: LabelMap) -> bool:
    """Whether the voxel centres of the reference are such of the prediction, were that continued in all directions."""
    if prediction.affine is None or reference.affine is None or prediction.array.ndim != reference.array.ndim:
        return False
    if relative_turn(prediction.affine, reference.affine) is None:
        return False
    whole = np.rint(np.linalg.inv(prediction.affine) @ reference.affine)
    return voxel_distance(_three(reference), prediction.affine @ whole, reference.affine) <= TOLERANCE
