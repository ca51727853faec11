# SPDX-License-Identifier: Apache-2.0
"""Overlap of two masks from integer counts of pixels or voxels.

All functions take counts (:class:`Counts`) and return a float; a zero denominator gives ``NaN``. Definitions: Taha and
Hanbury, "Metrics for evaluating 3D medical image segmentation", BMC Medical Imaging 2015, section "Overlap based
metrics". What a missing structure means is not decided here but by the protocol of the evaluation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sa2_monai.metrics.checks import check_label_pair, check_mask_pair

__all__ = [
    "Counts",
    "accuracy",
    "confusion_matrix",
    "counts",
    "counts_of_class",
    "dice",
    "f_beta",
    "jaccard",
    "precision",
    "sensitivity",
    "specificity",
]


class Counts(NamedTuple):
    """Numbers of pixels: true positive, false positive, false negative, true negative (Python integers)."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def prediction(self) -> int:
        """Size of the prediction, ``tp + fp``."""
        return self.tp + self.fp

    @property
    def reference(self) -> int:
        """Size of the reference, ``tp + fn``."""
        return self.tp + self.fn


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


def counts(prediction: np.ndarray, reference: np.ndarray) -> Counts:
    """Count the four kinds of pixels of two masks.

    Args:
        prediction: boolean or integer array of any shape; non-zero is foreground.
        reference: the same for the reference, same shape.

    Raises:
        ValueError: when a mask is neither boolean nor integer, or the shapes differ.
    """
    p, r = check_mask_pair(prediction, reference)
    tp = int(np.count_nonzero(p & r))
    fp = int(np.count_nonzero(p)) - tp
    fn = int(np.count_nonzero(r)) - tp
    return Counts(tp, fp, fn, p.size - tp - fp - fn)


def confusion_matrix(
    prediction: np.ndarray, reference: np.ndarray, num_classes: int, ignore: int | None = None
) -> np.ndarray:
    """Count the pixels of every pair of reference class and predicted class.

    Args:
        prediction: integer array with values ``0..num_classes-1``, any shape.
        reference: the same for the reference, same shape; may also hold ``ignore``.
        num_classes: number of classes, background included.
        ignore: value of the reference whose pixels are left out, e.g. 255.

    Returns:
        int64 array ``(num_classes, num_classes)``, rows reference, columns prediction. Matrices of several images add.

    Raises:
        ValueError: for other data types, shapes that differ, or values outside the classes.
    """
    p, r = check_label_pair(prediction, reference)
    p, r = p.ravel().astype(np.int64), r.ravel().astype(np.int64)
    if ignore is not None:
        keep = r != ignore
        p, r = p[keep], r[keep]
    for name, values in (("prediction", p), ("reference", r)):
        if values.size and (values.min() < 0 or values.max() >= num_classes):
            outside = sorted({int(v) for v in np.unique(values)} - set(range(num_classes)))
            raise ValueError(f"{name} holds {outside}, expected class indices 0..{num_classes - 1}")
    return np.bincount(r * num_classes + p, minlength=num_classes**2).reshape(num_classes, num_classes)


def counts_of_class(matrix: np.ndarray, index: int) -> Counts:
    """Reduce a confusion matrix (rows reference, columns prediction) to one class against all others."""
    tp = int(matrix[index, index])
    fp = int(matrix[:, index].sum()) - tp
    fn = int(matrix[index].sum()) - tp
    return Counts(tp, fp, fn, int(matrix.sum()) - tp - fp - fn)


def dice(c: Counts) -> float:
    """Dice similarity, ``2TP / (2TP + FP + FN)``, in [0, 1]; ``NaN`` when both masks are empty."""
    return _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def jaccard(c: Counts) -> float:
    """Jaccard index (IoU), ``TP / (TP + FP + FN)``, in [0, 1]; ``NaN`` when both masks are empty."""
    return _ratio(c.tp, c.tp + c.fp + c.fn)


def precision(c: Counts) -> float:
    """Positive predictive value, ``TP / (TP + FP)``, in [0, 1]; ``NaN`` for an empty prediction."""
    return _ratio(c.tp, c.tp + c.fp)


def sensitivity(c: Counts) -> float:
    """Recall, ``TP / (TP + FN)``, in [0, 1]; ``NaN`` for an empty reference."""
    return _ratio(c.tp, c.tp + c.fn)


def specificity(c: Counts) -> float:
    """True negative rate, ``TN / (TN + FP)``, in [0, 1]; ``NaN`` when the reference fills the array."""
    return _ratio(c.tn, c.tn + c.fp)


def accuracy(c: Counts) -> float:
    """Share of pixels that agree, ``(TP + TN) / N``, in [0, 1]; ``NaN`` for an array without pixels."""
    return _ratio(c.tp + c.tn, c.tp + c.fp + c.fn + c.tn)


def f_beta(c: Counts, beta: float = 2.0) -> float:
    """F-measure, ``(1+b²)·P·R / (b²·P + R)``, in [0, 1]; ``NaN`` when both masks are empty."""
    b2 = beta * beta
    return _ratio((1 + b2) * c.tp, (1 + b2) * c.tp + b2 * c.fn + c.fp)
