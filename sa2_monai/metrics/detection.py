# SPDX-License-Identifier: Apache-2.0
"""Detection of single objects: which predicted object is which object of the reference, F1 and panoptic quality.

Two objects belong together when their IoU is above the threshold; from 0.5 on that can be true for one pair only
(Kirillov et al., "Panoptic Segmentation", CVPR 2019). Detection F1 is the recognition quality of that paper.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import label
from scipy.optimize import linear_sum_assignment

from sa2_monai.metrics.checks import check_label_pair

__all__ = ["InstanceMatch", "connected_instances", "match_instances"]


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


class InstanceMatch(NamedTuple):
    """Objects found, invented and missed. Matches of several images add.

    Attributes:
        tp: pairs of objects that belong together.
        fp: predicted objects without a partner.
        fn: objects of the reference without a partner.
        iou_sum: sum of the IoU of the pairs.
    """

    tp: int
    fp: int
    fn: int
    iou_sum: float

    @property
    def precision(self) -> float:
        """Share of predicted objects that are there; ``NaN`` without a predicted object."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of objects that were found; ``NaN`` without an object in the reference."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """Detection F1 (recognition quality), ``2TP / (2TP + FP + FN)``; ``NaN`` without any object."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the pairs; ``NaN`` without a pair."""
        return _ratio(self.iou_sum, self.tp)

    @property
    def panoptic_quality(self) -> float:
        """``2·sum of IoU / (2TP + FP + FN)``, segmentation times recognition quality; ``NaN`` without any object."""
        return _ratio(2 * self.iou_sum, 2 * self.tp + self.fp + self.fn)


def connected_instances(mask: np.ndarray) -> np.ndarray:
    """Number the objects of a mask: what touches, also at a corner, is one object.

    Args:
        mask: boolean or integer array; non-zero is foreground.

    Returns:
        Integer array of the same shape, 0 for background.
    """
    numbered, _ = label(np.asarray(mask) != 0, structure=np.ones((3,) * np.ndim(mask)))
    return np.asarray(numbered)


def match_instances(prediction: np.ndarray, reference: np.ndarray, threshold: float = 0.5) -> InstanceMatch:
    """Find the pairs of objects of two maps.

    Args:
        prediction: integer array of any shape; 0 is background, every other value the number of an object.
        reference: the same for the reference, same shape.
        threshold: IoU that a pair must exceed, in [0, 1). Below 0.5 an object may reach it with several others; the
            pairs are chosen so that most objects are matched, with the largest sum of IoU.

    Raises:
        ValueError: when a map is not integer, the shapes differ, or the threshold is outside [0, 1).
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold is {threshold}, expected a number from 0 to below 1")
    prediction, reference = check_label_pair(prediction, reference)
    (sizes_p, p), (sizes_r, r) = _numbered(prediction), _numbered(reference)
    both = (p > 0) & (r > 0)
    pairs, shared = np.unique((p[both] - 1) * len(sizes_r) + r[both] - 1, return_counts=True)
    rows, columns = np.divmod(pairs, max(len(sizes_r), 1))
    iou = shared / (sizes_p[rows] + sizes_r[columns] - shared)
    good = iou > threshold
    rows, columns, iou = rows[good], columns[good], iou[good]
    if threshold < 0.5 and len(iou):
        table = np.zeros((len(sizes_p), len(sizes_r)))
        table[rows, columns] = 1 + iou / (len(iou) + 1)  # a further pair is worth more than any gain of IoU
        chosen = linear_sum_assignment(table, maximize=True)
        real = table[chosen] > 0
        tp, total = int(real.sum()), float(((table[chosen][real] - 1) * (len(iou) + 1)).sum())
    else:
        tp, total = len(iou), float(iou.sum())
    return InstanceMatch(tp, len(sizes_p) - tp, len(sizes_r) - tp, total)


def _numbered(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of the objects, and the map with them numbered 1, 2, ... without gaps."""
    values, index, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    index = index.reshape(labels.shape).astype(np.int64)
    if len(values) and (values == 0).any():
        at = int(np.flatnonzero(values == 0)[0])
        number = np.arange(len(values)) + (np.arange(len(values)) < at)
        number[at] = 0
        return np.delete(sizes, at), number[index]
    return sizes, index + 1
