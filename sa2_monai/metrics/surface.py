# SPDX-License-Identifier: Apache-2.0
"""Distances between the surfaces of two masks, in 2D and 3D.

A foreground pixel is on the surface when a face neighbour (4 in 2D, 6 in 3D) is background or outside the array. The
directed distances run between pixel centres, from every surface pixel of one mask to the nearest one of the other.
:func:`surface_distances` computes the two vectors once (crop to the box of the union, erode, one k-d tree per surface);
every metric below is a function of these two vectors.

``NaN`` stands for a distance that does not exist because a mask is empty. Definitions: Taha and Hanbury 2015
(Hausdorff, average distances); Nikolov et al. 2018 and Maier-Hein et al., "Metrics Reloaded", 2024 (normalised surface
distance).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.spatial import cKDTree

from sa2_monai.metrics.checks import check_mask_pair, check_spacing

__all__ = ["asd", "assd", "hd", "hd95", "hd95_pooled", "masd", "nsd", "surface_distances", "surface_mask"]


def surface_mask(mask: np.ndarray) -> np.ndarray:
    """Mark the pixels of a boolean mask that have a face neighbour in the background or outside the array."""
    return mask & ~binary_erosion(mask, generate_binary_structure(mask.ndim, 1), border_value=0)


def _union_box(prediction: np.ndarray, reference: np.ndarray) -> tuple[slice, ...]:
    """Smallest box that holds both masks; cropping to it changes no surface, because outside counts as background."""
    union = prediction | reference
    box = []
    for axis in range(union.ndim):
        other = tuple(a for a in range(union.ndim) if a != axis)
        hit = np.flatnonzero(union.any(axis=other))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, spacing: Sequence[float] | float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the directed distances between the surfaces of two masks.

    Args:
        prediction: boolean or integer array, 2D or 3D; non-zero is foreground.
        reference: the same for the reference, same shape.
        spacing: distance of pixel centres per axis, in the axis order of the arrays; ``None`` counts pixels.

    Returns:
        ``(prediction to reference, reference to prediction)``: float64 vectors with one distance per surface pixel, in
        the unit of ``spacing``. When exactly one mask is empty, its own vector is empty and the other holds infinities;
        when both are, both vectors are empty.

    Raises:
        ValueError: when a mask is neither boolean nor integer, the shapes differ, the arrays are not 2D or 3D, or the
            spacing has another length or a value that is not positive.
    """
    p, r = check_mask_pair(prediction, reference)
    if p.ndim not in (2, 3):
        raise ValueError(f"masks have shape {p.shape}, expected two or three axes")
    steps = check_spacing(spacing, p.ndim)
    if not (p.any() or r.any()):
        return np.empty(0), np.empty(0)
    box = _union_box(p, r)
    index_p = np.argwhere(surface_mask(p[box]))
    index_r = np.argwhere(surface_mask(r[box]))
    if not (len(index_p) and len(index_r)):
        return np.full(len(index_p), np.inf), np.full(len(index_r), np.inf)
    return _nearest(index_p, index_r, steps), _nearest(index_r, index_p, steps)


def _nearest(index_from: np.ndarray, index_to: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Distance of every point to the nearest one of the other set."""
    _, nearest = cKDTree(index_to * steps).query(index_from * steps)
    # From whole index differences, so that a distance does not depend on where in the array the mask lies.
    return np.asarray(np.sqrt(np.square((index_from - index_to[nearest]) * steps).sum(axis=1)))


def _exists(d_pred_to_ref: np.ndarray, d_ref_to_pred: np.ndarray) -> bool:
    """Whether both surfaces exist; only then there is a distance."""
    return len(d_pred_to_ref) > 0 and len(d_ref_to_pred) > 0


def hd(d_pred_to_ref: np.ndarray, d_ref_to_pred: np.ndarray) -> float:
    """Hausdorff distance: the larger of the two directed maxima, in the unit of the vectors."""
    if not _exists(d_pred_to_ref, d_ref_to_pred):
        return float("nan")
    return float(max(d_pred_to_ref.max(), d_ref_to_pred.max()))


def hd95(d_pred_to_ref: np.ndarray, d_ref_to_pred: np.ndarray, percentile: float = 95.0) -> float:
    """The larger of the two directed percentiles (linear interpolation); the clinical protocol uses this one."""
    if not _exists(d_pred_to_ref, d_ref_to_pred):
        return float("nan")
    return float(max(np.percentile(d_pred_to_ref, percentile), np.percentile(d_ref_to_pred, percentile)))


def hd95_pooled(d_pred_to_ref: np.ndarray, d_ref_to_pred: np.ndarray, percentile: float = 95.0) -> float:
    """Percentile of both directed sets put together, as MedPy computes it; the paper protocol uses this one."""
    if not _exists(d_pred_to_ref, d_ref_to_pred):
        return float("nan")
    return float(np.percentile(np.concatenate([d_pred_to_ref, d_ref_to_pred]), percentile))


def asd(d_from: np.ndarray, d_back: np.ndarray) -> float:
    """Mean of the first directed vector; exchange the arguments for the other direction."""
    if not _exists(d_from, d_back):
        return float("nan")
    return float(d_from.mean())


def assd(d_pred_to_ref: np.ndarray, d_ref_to_pred: np.ndarray) -> float:
    """Mean over both directed sets put together: every surface pixel weighs the same."""
    if not _exists(d_pred_to_ref, d_ref_to_pred):
        return float("nan")
    return float(np.concatenate([d_pred_to_ref, d_ref_to_pred]).mean())


def masd(d_pred_to_ref: np.ndarray, d_ref_to_pred: np.ndarray) -> float:
    """Mean of the two directed means: both surfaces weigh the same."""
    if not _exists(d_pred_to_ref, d_ref_to_pred):
        return float("nan")
    return float(0.5 * (d_pred_to_ref.mean() + d_ref_to_pred.mean()))


def nsd(d_pred_to_ref: np.ndarray, d_ref_to_pred: np.ndarray, tolerance: float) -> float:
    """Normalised surface distance: share of surface pixels no farther than the tolerance from the other surface.

    Args:
        d_pred_to_ref: distances from prediction to reference.
        d_ref_to_pred: distances from reference to prediction.
        tolerance: in the unit of the vectors, not negative.

    Returns:
        A number in [0, 1]; 0 when exactly one mask is empty, ``NaN`` when both are.

    Raises:
        ValueError: when the tolerance is negative or not a number.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}, expected a number that is not negative")
    total = len(d_pred_to_ref) + len(d_ref_to_pred)
    if total == 0:
        return float("nan")
    # 3 x 0.1 is more than 0.3 in floating point; a distance equal to the tolerance is within it
    limit = tolerance * (1 + 1e-9)
    within = np.count_nonzero(d_pred_to_ref <= limit) + np.count_nonzero(d_ref_to_pred <= limit)
    return float(within / total)
