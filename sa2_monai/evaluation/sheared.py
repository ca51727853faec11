# SPDX-License-Identifier: Apache-2.0
"""Surface distances of volumes whose axes are not at right angles (gantry tilt): by the affine, point to point."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from sa2_monai.metrics.boxes import tight_box
from sa2_monai.metrics.structures import Structure
from sa2_monai.metrics.surface import surface_mask

__all__ = ["with_sheared_distances"]


def with_sheared_distances(
    structures: dict[int, Structure], prediction: np.ndarray, reference: np.ndarray, affine: np.ndarray
) -> dict[int, Structure]:
    """Add the surface distances to structures that were only counted.

    A voxel is on the surface as in any other volume, when a face neighbour is background; its place is the affine's.

    Args:
        structures: value -> structure, from :func:`sa2_monai.metrics.measure_structures` without distances.
        prediction: label map (x, y, z).
        reference: the same of the reference.
        affine: (4, 4), index to millimetres.

    Returns:
        Value -> structure with the two directed vectors in millimetres.
    """
    return {
        value: found._replace(distances=_distances(prediction == value, reference == value, affine[:3, :3]))
        for value, found in structures.items()
    }


def _distances(prediction: np.ndarray, reference: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = [_surface(mask) for mask in (prediction, reference)]
    if not len(points[0]) or not len(points[1]):
        return np.full(len(points[0]), np.inf), np.full(len(points[1]), np.inf)
    return _nearest(points[0], points[1], matrix), _nearest(points[1], points[0], matrix)


def _surface(mask: np.ndarray) -> np.ndarray:
    """Indices (points, 3) of the surface voxels; outside of the tight box there are none."""
    if not mask.any():
        return np.empty((0, 3), dtype=np.int64)
    box = tight_box(mask)
    return np.argwhere(surface_mask(mask[box])) + [side.start for side in box]


def _nearest(start: np.ndarray, goal: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    _, index = cKDTree(goal @ matrix.T).query(start @ matrix.T)
    # From whole index differences, so that a distance does not depend on where in the array the mask lies.
    return np.asarray(np.linalg.norm((start - goal[index]) @ matrix.T, axis=1))
