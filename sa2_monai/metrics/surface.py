# SPDX-License-Identifier: Apache-2.0
"""Distances between the surfaces of two masks, in 2D and 3D.

A foreground pixel is on the surface when a face neighbour (4 in 2D, 6 in 3D) is background or outside the array. The
directed distances run between pixel centres, from every surface pixel of one mask to the nearest one of the other.
:func:`surface_distances` computes the two vectors of one structure, :func:`sa2_monai.metrics.measure_structures` those
of all structures of a label map; every metric below is a function of these two vectors.

``NaN`` stands for a distance that does not exist because a mask is empty. Definitions: Taha and Hanbury 2015
(Hausdorff, average distances); Nikolov et al. 2018 and Maier-Hein et al., "Metrics Reloaded", 2024 (normalised surface
distance).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sa2_monai.metrics.checks import at_most, check_mask_pair
from sa2_monai.metrics.nearest import surface_mask
from sa2_monai.metrics.structures import measure_structures

__all__ = ["asd", "assd", "hd", "hd95", "hd95_pooled", "masd", "nsd", "surface_distances", "surface_mask"]


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
        when both are, both vectors are empty. The order within a vector has no meaning.

    Raises:
        ValueError: when a mask is neither boolean nor integer, the shapes differ, the arrays are not 2D or 3D, or the
            spacing has another length or a value that is not positive.
    """
    p, r = check_mask_pair(prediction, reference)
    return measure_structures(p, r, (1,), spacing)[1].distances


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

    A distance equal to the tolerance is within it, also when it comes from a spacing in single precision: the
    comparison allows a relative difference of 1e-6.

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
    within = sum(int(np.count_nonzero(at_most(d, tolerance))) for d in (d_pred_to_ref, d_ref_to_pred))
    return float(within / total)
