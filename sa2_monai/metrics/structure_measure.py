# SPDX-License-Identifier: Apache-2.0
"""S-measure of two masks: how well objects and regions agree, beyond the pixels that agree.

Fan et al., "Structure-measure: a new way to evaluate foreground maps", ICCV 2017. For masks every mean, variance and
covariance of the definition follows from numbers of pixels, so the measure is computed from integers alone.
"""

from __future__ import annotations

import math

import numpy as np

from sa2_monai.metrics.checks import check_mask_pair
from sa2_monai.metrics.overlap import Counts, counts

__all__ = ["s_measure"]


def s_measure(prediction: np.ndarray, reference: np.ndarray, alpha: float = 0.5) -> float:
    """Compute the S-measure, ``alpha * S_object + (1 - alpha) * S_region``, of two masks.

    The object-aware part compares the prediction inside and outside of the reference with an even map; the region-aware
    part cuts the image at the centroid of the reference and averages the structural similarity of the four blocks,
    weighted by their area as in the authors' code (their text weights by foreground). A block in which neither mask
    varies has similarity 1 there, also where one is full and the other empty.

    Args:
        prediction: boolean or integer array ``(H, W)``; non-zero is foreground.
        reference: the same for the reference, same shape.
        alpha: weight of the object-aware part, in [0, 1].

    Returns:
        A number in [0, 1]: 1 for equal masks, ``1 - mean(prediction)`` for an empty reference, ``mean(prediction)`` for
        one that fills the image; ``NaN`` without pixels.

    Raises:
        ValueError: when a mask is neither boolean nor integer, has other than 2 axes, or the shapes differ, and for an
            ``alpha`` outside [0, 1].
    """
    p, r = check_mask_pair(prediction, reference)
    if p.ndim != 2:
        raise ValueError(f"masks have shape {p.shape}, expected (H, W)")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}, expected a number from 0 to 1")
    if not p.size:
        return float("nan")
    c = counts(p, r)
    if c.reference == 0:
        return 1 - c.prediction / p.size
    if c.reference == p.size:
        return c.prediction / p.size
    return alpha * _object_aware(c) + (1 - alpha) * _region_aware(p, r)


def _evenness(inside: int, size: int) -> float:
    """Score of an object of ``size`` pixels of which ``inside`` are predicted."""
    mean = inside / size
    # the standard deviation of a sample, as the authors compute it; a single pixel has none
    deviation = math.sqrt(mean * (1 - mean) * size / (size - 1)) if size > 1 else 0.0
    return 2 * mean / (mean * mean + 1 + deviation)


def _object_aware(c: Counts) -> float:
    background = c.fp + c.tn
    share = c.reference / (c.reference + background)
    return share * _evenness(c.tp, c.reference) + (1 - share) * _evenness(c.tn, background)


def _region_aware(p: np.ndarray, r: np.ndarray) -> float:
    # rounded half up; the row and the column of the centroid belong to the upper and the left block
    row, column = (math.floor(float(axis.mean()) + 0.5) + 1 for axis in np.nonzero(r))
    total = 0.0
    for rows in (slice(None, row), slice(row, None)):
        for columns in (slice(None, column), slice(column, None)):
            block = p[rows, columns], r[rows, columns]
            total += block[0].size * _similarity(counts(*block)) if block[0].size else 0.0
    return total / p.size


def _similarity(c: Counts) -> float:
    """Structural similarity of two masks: the factors 1/n of all moments cancel."""
    n, a, b = c.tp + c.fp + c.fn + c.tn, c.prediction, c.reference
    spread = (a * a + b * b) * (a * (n - a) + b * (n - b))
    return 4 * a * b * (n * c.tp - a * b) / spread if spread else 1.0
