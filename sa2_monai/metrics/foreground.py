# SPDX-License-Identifier: Apache-2.0
"""Foreground against background as maps: E-measure and mean absolute error.

The E-measure compares two binary maps after their means are taken off (Fan et al., "Enhanced-alignment measure for
binary foreground map evaluation", IJCAI 2018).
"""

from __future__ import annotations

import numpy as np

from sa2_monai.metrics.checks import check_mask_pair

__all__ = ["e_measure", "mean_absolute_error"]


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
    images = p.shape[0] if p.ndim == 3 else 1
    if p.size == 0 or p.size // images < 2:
        return float("nan")
    divisor = p.size - images  # (H·W - 1) for every image
    if not r.any():
        # The published rule: without a reference there is no alignment, count the clean pixels.
        return float(np.count_nonzero(~p) / divisor)
    centred_p, centred_r = p - p.mean(), r - r.mean()
    alignment = 2 * centred_p * centred_r / (centred_p**2 + centred_r**2 + 1e-7)
    return float(((alignment + 1) ** 2 / 4).sum() / divisor)


def mean_absolute_error(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Share of pixels in which two masks differ, in [0, 1]; ``NaN`` without pixels.

    Raises:
        ValueError: when a mask is neither boolean nor integer, or the shapes differ.
    """
    p, r = check_mask_pair(prediction, reference)
    return float(np.count_nonzero(p != r) / p.size) if p.size else float("nan")
