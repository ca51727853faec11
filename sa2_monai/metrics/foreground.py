# SPDX-License-Identifier: Apache-2.0
"""Foreground against background as maps: E-measure and mean absolute error.

The E-measure compares two binary maps after their means are taken off (Fan et al., "Enhanced-alignment measure for
binary foreground map evaluation", IJCAI 2018).
"""

from __future__ import annotations

import numpy as np

from sa2_monai.metrics.checks import check_mask_pair
from sa2_monai.metrics.overlap import Counts, counts

__all__ = ["e_measure", "e_measure_of_counts", "mean_absolute_error"]


def e_measure(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Compute the E-measure of two masks.

    Args:
        prediction: boolean or integer array ``(H, W)``; non-zero is foreground. A stack ``(N, H, W)`` is taken as one
            published evaluation does it: the means run over the whole stack, the result is the average over images.
        reference: the same for the reference, same shape.

    Returns:
        A number in [0, 1] (up to HW/(HW-1), as published); ``NaN`` for images of fewer than two pixels.

    Raises:
        ValueError: when a mask is neither boolean nor integer, has other than 2 or 3 axes, or the shapes differ.
    """
    p, r = check_mask_pair(prediction, reference)
    if p.ndim not in (2, 3):
        raise ValueError(f"masks have shape {p.shape}, expected (H, W) or a stack (N, H, W)")
    return e_measure_of_counts(counts(p, r), p.shape[0] if p.ndim == 3 else 1)


def e_measure_of_counts(c: Counts, images: int = 1) -> float:
    """Compute the E-measure from the pixels of one image, or of several images taken as one stack.

    Two masks have four kinds of pixels, and within each the alignment is the same: nothing else is needed.

    Args:
        c: pixels of the foreground; of several images their sums.
        images: how many they are.

    Returns:
        See :func:`e_measure`.
    """
    size = c.tp + c.fp + c.fn + c.tn
    if size < 2 * images or not size:
        return float("nan")
    divisor = size - images  # (H·W - 1) for every image
    if not c.reference:
        # The published rule: without a reference there is no alignment, count the clean pixels.
        return c.tn / divisor
    mean_p, mean_r = c.prediction / size, c.reference / size
    total = 0.0
    for pixels, p, r in ((c.tp, 1, 1), (c.fp, 1, 0), (c.fn, 0, 1), (c.tn, 0, 0)):
        a, b = p - mean_p, r - mean_r
        total += pixels * (2 * a * b / (a * a + b * b + 1e-7) + 1) ** 2 / 4
    return total / divisor


def mean_absolute_error(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Share of pixels in which two masks differ, in [0, 1]; ``NaN`` without pixels.

    Raises:
        ValueError: when a mask is neither boolean nor integer, or the shapes differ.
    """
    p, r = check_mask_pair(prediction, reference)
    return float(np.count_nonzero(p != r) / p.size) if p.size else float("nan")
