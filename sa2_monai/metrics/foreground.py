# SPDX-License-Identifier: Apache-2.0
"""Foreground against background as maps: E-measure and mean absolute error.

The E-measure compares two binary maps after their means are taken off (Fan et al., "Enhanced-alignment measure for
binary foreground map evaluation", IJCAI 2018). There are two of it: :func:`enhanced_alignment` is that of its authors;
:func:`e_measure` repeats the code of a publication, whose constant in the denominator outweighs the means of objects
below about 0.1 % of the image (a perfect one scores 0.25 in the limit), for the comparison with its tables.
"""

from __future__ import annotations

import numpy as np

from sa2_monai.metrics.checks import check_mask_pair
from sa2_monai.metrics.overlap import Counts, counts

__all__ = [
    "e_measure",
    "e_measure_of_counts",
    "enhanced_alignment",
    "enhanced_alignment_of_counts",
    "mean_absolute_error",
]


def enhanced_alignment(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Compute the E-measure of two masks as its authors define it, the one of the clinical protocol.

    Args:
        prediction: boolean or integer array ``(H, W)``; non-zero is foreground.
        reference: the same for the reference, same shape.

    Returns:
        With N pixels N / (N - 1) times a number in [0, 1] (the authors' code, and PySODMetrics like it, divide by one
        pixel less than there are): 1 for equal masks of any size, ``1 - mean(prediction)`` for an empty reference,
        ``mean(prediction)`` for one that fills the image. ``NaN`` for images of fewer than two pixels.

    Raises:
        ValueError: when a mask is neither boolean nor integer, has other than 2 axes, or the shapes differ.
    """
    p, r = check_mask_pair(prediction, reference)
    if p.ndim != 2:
        raise ValueError(f"masks have shape {p.shape}, expected (H, W)")
    return enhanced_alignment_of_counts(counts(p, r))


def enhanced_alignment_of_counts(c: Counts) -> float:
    """Compute the E-measure of :func:`enhanced_alignment` from the pixels of one image."""
    size = c.tp + c.fp + c.fn + c.tn
    if size < 2:
        return float("nan")
    if c.reference in (0, size):
        aligned = float(c.tn if c.reference == 0 else c.tp)
    else:
        aligned = sum(pixels * (1 + _alignment(a, b)) ** 2 / 4 for pixels, a, b in _deviations(c, size))
    return aligned / (size - 1)


def _deviations(c: Counts, size: int) -> list[tuple[int, float, float]]:
    """The four kinds of pixels of two masks: their number and how far both masks are from their means there."""
    p, r = c.prediction / size, c.reference / size
    return [(c.tp, 1 - p, 1 - r), (c.fp, 1 - p, -r), (c.fn, -p, 1 - r), (c.tn, -p, -r)]


def _alignment(a: float, b: float, constant: float = 0.0) -> float:
    """Alignment of two deviations, -1 to 1; 0 where one mask does not vary."""
    return 2 * a * b / (a * a + b * b + constant) if a and b else 0.0


def e_measure(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Compute the E-measure of two masks as the code of SvANet does, which differs for small objects.

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
    """Compute the E-measure of :func:`e_measure` from the pixels of one image, or of several images as one stack.

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
    found = (pixels * (1 + _alignment(a, b, 1e-7)) ** 2 / 4 for pixels, a, b in _deviations(c, size))
    return sum(found) / divisor


def mean_absolute_error(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Share of pixels in which two masks differ, in [0, 1]; ``NaN`` without pixels.

    Raises:
        ValueError: when a mask is neither boolean nor integer, or the shapes differ.
    """
    p, r = check_mask_pair(prediction, reference)
    return float(np.count_nonzero(p != r) / p.size) if p.size else float("nan")
