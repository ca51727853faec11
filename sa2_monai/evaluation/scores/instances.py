# SPDX-License-Identifier: Apache-2.0
"""Single objects in an evaluation: detection F1 and panoptic quality per case and their summary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.scores.rows import csv_table
from sa2_monai.evaluation.scores.statistics import Bootstrap, describe, none_if_nan
from sa2_monai.metrics.detection import InstanceMatch, connected_instances, match_instances

__all__ = [
    "INSTANCE_COLUMNS",
    "KINDS",
    "InstanceCounts",
    "check_instances",
    "count_instances",
    "holds_numbers",
    "instances_to_csv",
    "summarize_instances",
]

KINDS = ("auto", "numbers", "components")
THRESHOLD = 0.5
_VALUES = ("detection_f1", "panoptic_quality", "segmentation_quality", "detection_precision", "detection_recall")
INSTANCE_COLUMNS = ("case", "objects_pred", "objects_ref", "tp", "fp", "fn", *_VALUES, "iou_threshold")


@dataclass(frozen=True)
class InstanceCounts:
    """The objects of one case.

    Attributes:
        case: its name.
        match: pairs of objects.
    """

    case: str
    match: InstanceMatch

    def row(self) -> dict[str, Any]:
        """The columns of ``instances_per_case.csv``; undefined values are ``NaN``."""
        found = self.match
        return {
            "case": self.case,
            "objects_pred": found.tp + found.fp,
            "objects_ref": found.tp + found.fn,
            "tp": found.tp,
            "fp": found.fp,
            "fn": found.fn,
            **_values(found),
            "iou_threshold": THRESHOLD,
        }


def _values(found: InstanceMatch) -> dict[str, float]:
    values = (found.f1, found.panoptic_quality, found.segmentation_quality, found.precision, found.recall)
    return dict(zip(_VALUES, values, strict=True))


def check_instances(kind: str | None, protocol: str, classes: Mapping[int, str]) -> str | None:
    """Check the option ``instances`` and return it.

    Raises:
        ValueError: for an unknown word, the paper protocol, or more than one class.
    """
    if kind is None:
        return None
    if kind not in KINDS:
        raise ValueError(f"instances is {kind!r}, expected one of {', '.join(KINDS)} or None")
    if protocol != "clinical":
        raise ValueError("instances belongs to the clinical protocol; the paper families do not count objects")
    if len(classes) != 2:
        raise ValueError(f"instances needs exactly one class beside the background, got {dict(classes)}")
    return kind


def holds_numbers(raw: np.ndarray, kind: str) -> bool:
    """Whether the values above 0 of a file are numbers of objects, as one of :data:`KINDS` says or lets find out."""
    if kind == "auto":
        values = np.unique(raw)
        return set(values[values != 0].tolist()) not in ({1}, {255})
    return kind == "numbers"


def _objects(raw: np.ndarray, kind: str) -> np.ndarray:
    return raw if holds_numbers(raw, kind) else connected_instances(raw)


def count_instances(item: LoadedCase, kind: str) -> InstanceCounts:
    """Match the objects of a case; a missing prediction has none.

    Args:
        item: the case; objects are numbered by the values of its files.
        kind: one of :data:`KINDS`.

    Raises:
        ValueError: when the prediction was resampled, which tears small objects apart.
    """
    reference = _objects(item.geometry.array, kind)
    if item.raw_prediction is None:
        prediction = np.zeros_like(reference)
    elif item.raw_prediction.shape != reference.shape or item.resampled:
        raise ValueError(f"case {item.case}: single objects are not measured on a resampled prediction")
    else:
        prediction = _objects(item.raw_prediction, kind)
    return InstanceCounts(item.case, match_instances(prediction, reference, THRESHOLD))


def summarize_instances(objects: Sequence[InstanceCounts], bootstrap: Bootstrap) -> dict[str, Any]:
    """Summarise the objects of all cases.

    Returns:
        ``per_case`` (description and interval of every value over cases), ``pooled`` (values of all objects taken
        together) and ``iou_threshold``; undefined values are ``None``.
    """
    per_case: dict[str, Any] = {}
    for name in _VALUES:
        values = np.array([_values(item.match)[name] for item in objects])
        low, high = bootstrap.mean_interval(values)
        per_case[name] = {**describe(values), "ci95_low": low, "ci95_high": high}
    matches = [item.match for item in objects]
    tp, fp, fn = (sum(getattr(m, name) for m in matches) for name in ("tp", "fp", "fn"))
    pooled = InstanceMatch(tp, fp, fn, math.fsum(m.iou_sum for m in matches))
    values_of_all = {name: none_if_nan(value) for name, value in _values(pooled).items()}
    return {
        "iou_threshold": THRESHOLD,
        "per_case": per_case,
        "pooled": {"tp": tp, "fp": fp, "fn": fn, **values_of_all},
    }


def instances_to_csv(objects: Sequence[InstanceCounts]) -> str:
    """CSV text, one line per case."""
    return csv_table(INSTANCE_COLUMNS, (item.row() for item in objects))
