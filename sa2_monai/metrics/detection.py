# SPDX-License-Identifier: Apache-2.0
"""Single objects: which predicted object is which of the reference, F1, panoptic quality, aggregated Jaccard index.

Two objects belong together when their IoU is above the threshold; from 0.5 on that can be true for one pair only
(Kirillov et al., "Panoptic Segmentation", CVPR 2019). Detection F1 is the recognition quality of that paper.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import label
from scipy.optimize import linear_sum_assignment

from sa2_monai.metrics.checks import check_label_pair

__all__ = [
    "InstanceMatch",
    "ObjectPairs",
    "aggregated_jaccard",
    "connected_instances",
    "match_instances",
    "object_pairs",
]


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

    def ratios(self) -> dict[str, tuple[float, float]]:
        """Numerator and denominator of every value, by its name; those of several images add."""
        objects = 2 * self.tp + self.fp + self.fn
        return {
            "detection_f1": (2 * self.tp, objects),
            "panoptic_quality": (2 * self.iou_sum, objects),
            "segmentation_quality": (self.iou_sum, self.tp),
            "detection_precision": (self.tp, self.tp + self.fp),
            "detection_recall": (self.tp, self.tp + self.fn),
        }

    @property
    def precision(self) -> float:
        """Share of predicted objects that are there; ``NaN`` without a predicted object."""
        return _ratio(*self.ratios()["detection_precision"])

    @property
    def recall(self) -> float:
        """Share of objects that were found; ``NaN`` without an object in the reference."""
        return _ratio(*self.ratios()["detection_recall"])

    @property
    def f1(self) -> float:
        """Detection F1 (recognition quality), ``2TP / (2TP + FP + FN)``; ``NaN`` without any object."""
        return _ratio(*self.ratios()["detection_f1"])

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the pairs; ``NaN`` without a pair."""
        return _ratio(*self.ratios()["segmentation_quality"])

    @property
    def panoptic_quality(self) -> float:
        """``2·sum of IoU / (2TP + FP + FN)``, segmentation times recognition quality; ``NaN`` without any object."""
        return _ratio(*self.ratios()["panoptic_quality"])


def connected_instances(mask: np.ndarray) -> np.ndarray:
    """Number the objects of a mask: what touches, also at a corner, is one object.

    Args:
        mask: boolean or integer array; non-zero is foreground.

    Returns:
        Integer array of the same shape, 0 for background.
    """
    numbered, _ = label(np.asarray(mask) != 0, structure=np.ones((3,) * np.ndim(mask)))
    return np.asarray(numbered)


class ObjectPairs(NamedTuple):
    """Which objects of two maps overlap: what every measure of single objects is computed from.

    Attributes:
        sizes_prediction: pixels of every predicted object.
        sizes_reference: pixels of every object of the reference.
        rows: index of the predicted object of every pair that shares a pixel.
        columns: index of its object of the reference.
        shared: pixels that the pair shares, at least 1.
    """

    sizes_prediction: np.ndarray
    sizes_reference: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    shared: np.ndarray

    @property
    def unions(self) -> np.ndarray:
        """Pixels of either object of every pair."""
        return np.asarray(self.sizes_prediction[self.rows] + self.sizes_reference[self.columns] - self.shared)

    def match(self, threshold: float = 0.5) -> InstanceMatch:
        """The pairs that belong together; see :func:`match_instances`."""
        if not 0 <= threshold < 1:
            raise ValueError(f"threshold is {threshold}, expected a number from 0 to below 1")
        iou = self.shared / self.unions
        good = iou > threshold
        rows, columns, iou = self.rows[good], self.columns[good], iou[good]
        if threshold < 0.5 and len(iou):
            table = np.zeros((len(self.sizes_prediction), len(self.sizes_reference)))
            table[rows, columns] = 1 + iou / (len(iou) + 1)  # a further pair is worth more than any gain of IoU
            chosen = linear_sum_assignment(table, maximize=True)
            real = table[chosen] > 0
            tp, total = int(real.sum()), float(((table[chosen][real] - 1) * (len(iou) + 1)).sum())
        else:
            tp, total = len(iou), float(iou.sum())
        return InstanceMatch(tp, len(self.sizes_prediction) - tp, len(self.sizes_reference) - tp, total)

    def aggregated(self) -> tuple[int, int]:
        """Numerator and denominator of the aggregated Jaccard index; see :func:`aggregated_jaccard`.

        Those of several images add.
        """
        unions = self.unions
        iou = self.shared / unions
        order = np.lexsort((-self.rows, iou, self.columns))  # the last pair of an object is its best
        last = np.flatnonzero(np.diff(self.columns[order], append=-1))
        best = order[last]
        used = np.zeros(len(self.sizes_prediction), dtype=bool)
        used[self.rows[best]] = True
        missed = np.ones(len(self.sizes_reference), dtype=bool)
        missed[self.columns[best]] = False
        union = unions[best].sum() + self.sizes_reference[missed].sum() + self.sizes_prediction[~used].sum()
        return int(self.shared[best].sum()), int(union)


def object_pairs(prediction: np.ndarray, reference: np.ndarray) -> ObjectPairs:
    """Find the objects of two maps that overlap; both maps are read once.

    Args:
        prediction: integer array of any shape; 0 is background, every other value the number of an object.
        reference: the same for the reference, same shape.

    Raises:
        ValueError: when a map is not integer, or the shapes differ.
    """
    prediction, reference = check_label_pair(prediction, reference)
    (sizes_p, p), (sizes_r, r) = _numbered(prediction), _numbered(reference)
    both = (p > 0) & (r > 0)
    pairs, shared = np.unique((p[both] - 1) * len(sizes_r) + r[both] - 1, return_counts=True)
    rows, columns = np.divmod(pairs, max(len(sizes_r), 1))
    return ObjectPairs(sizes_p, sizes_r, rows, columns, shared)


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
    return object_pairs(prediction, reference).match(threshold)


def aggregated_jaccard(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Aggregated Jaccard index (AJI; Kumar et al., IEEE TMI 36, 2017, algorithm 1).

    Every object of the reference is paired with the predicted object of the largest IoU, which may be the best of
    several; shared pixels and unions of the pairs are summed. Objects of the reference that no prediction touches and
    predicted objects that are no partner add their pixels to the unions.

    Args:
        prediction: integer array of any shape; 0 is background, every other value the number of an object.
        reference: the same for the reference, same shape.

    Returns:
        AJI in [0, 1]; ``NaN`` without any object.

    Raises:
        ValueError: when a map is not integer, or the shapes differ.
    """
    return _ratio(*object_pairs(prediction, reference).aggregated())


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
