# SPDX-License-Identifier: Apache-2.0
"""Single objects in an evaluation: detection, panoptic quality and aggregated Jaccard index per case, and summary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.scores.rows import csv_table
from sa2_monai.evaluation.scores.statistics import Bootstrap, describe
from sa2_monai.metrics.detection import InstanceMatch, connected_instances, object_pairs

__all__ = [
    "INSTANCE_COLUMNS",
    "KINDS",
    "InstanceCounts",
    "check_instances",
    "count_instances",
    "holds_numbers",
    "instances_to_csv",
    "numbered_objects",
    "summarize_instances",
]

KINDS = ("auto", "numbers", "components")
#: IoU that a pair must exceed: the first one is that of the panoptic quality and of the columns without a number.
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
THRESHOLD = THRESHOLDS[0]
_DETECTION = ("detection_f1", "detection_precision", "detection_recall")
_VALUES = (
    *("detection_f1", "panoptic_quality", "segmentation_quality", "detection_precision", "detection_recall", "aji"),
    *(f"{name}_{round(100 * threshold)}" for threshold in THRESHOLDS[1:] for name in _DETECTION),
)
INSTANCE_COLUMNS = ("case", "objects_pred", "objects_ref", "tp", "fp", "fn", *_VALUES, "iou_threshold")


@dataclass(frozen=True)
class InstanceCounts:
    """The objects of one case.

    Attributes:
        case: its name.
        matches: pairs of objects by the IoU that they exceed, one for each of :data:`THRESHOLDS`.
        aggregated: numerator and denominator of the aggregated Jaccard index, in pixels.
    """

    case: str
    matches: Mapping[float, InstanceMatch]
    aggregated: tuple[int, int]

    @property
    def match(self) -> InstanceMatch:
        """The pairs with an IoU above 0.5."""
        return self.matches[THRESHOLD]

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
            **self.values(),
            "iou_threshold": THRESHOLD,
        }

    def values(self) -> dict[str, float]:
        """Every value by its column; ``NaN`` where it is undefined."""
        return {name: above / below if below else math.nan for name, (above, below) in self.ratios().items()}

    def ratios(self) -> dict[str, tuple[float, float]]:
        """Numerator and denominator of every value, in the order of the columns; those of several cases add."""
        ratios: dict[str, tuple[float, float]] = {**self.match.ratios(), "aji": self.aggregated}
        for threshold in THRESHOLDS[1:]:
            of_threshold = self.matches[threshold].ratios()
            ratios |= {f"{name}_{round(100 * threshold)}": of_threshold[name] for name in _DETECTION}
        return ratios


def check_instances(kind: str | None, protocol: str, classes: Mapping[int, str]) -> str | None:
    """Check the option ``instances`` and return it.

    Raises:
        ValueError: for an unknown word, the paper protocol, or numbers of objects of more than one class.
    """
    if kind is None:
        return None
    if kind not in KINDS:
        raise ValueError(f"instances is {kind!r}, expected one of {', '.join(KINDS)} or None")
    if protocol != "clinical":
        raise ValueError("instances belongs to the clinical protocol; the paper families do not count objects")
    if kind == "numbers" and len(classes) != 2:
        raise ValueError(f"instances='numbers' needs exactly one class beside the background, got {dict(classes)}")
    return kind


def holds_numbers(raw: np.ndarray, kind: str) -> bool:
    """Whether the values above 0 of a file are numbers of objects, as one of :data:`KINDS` says or lets find out."""
    if kind == "auto":
        values = np.unique(raw)
        return set(values[values != 0].tolist()) not in ({1}, {255})
    return kind == "numbers"


def numbered_objects(raw: np.ndarray, kind: str) -> np.ndarray:
    """Numbers of the objects of a map of one class, by the values of its file; see :data:`KINDS`."""
    return raw if holds_numbers(raw, kind) else connected_instances(raw)


def count_instances(item: LoadedCase, kind: str, classes: Mapping[int, str]) -> InstanceCounts:
    """Match the objects of a case; a missing prediction has none. Objects of different classes never match.

    Args:
        item: the case; where it has no maps of instances, objects of one class are numbered by the values of its files,
            those of several by what is connected.
        kind: one of :data:`KINDS`.
        classes: value -> name.

    Raises:
        ValueError: when the prediction was resampled, which tears small objects apart, or a map has another shape.
    """
    pairs = [object_pairs(*_pair(item, kind, value, len(classes) == 2)) for value in classes if value]
    matches = {t: _added([of_class.match(t) for of_class in pairs]) for t in THRESHOLDS}
    shared, union = (sum(column) for column in zip(*(of_class.aggregated() for of_class in pairs), strict=True))
    return InstanceCounts(item.case, matches, (shared, union))


def _added(matches: Sequence[InstanceMatch]) -> InstanceMatch:
    tp, fp, fn = (sum(getattr(match, name) for match in matches) for name in ("tp", "fp", "fn"))
    return InstanceMatch(tp, fp, fn, math.fsum(match.iou_sum for match in matches))


def _pair(item: LoadedCase, kind: str, value: int, alone: bool) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the objects of one class in prediction and reference."""
    if item.resampled or (item.raw_prediction is not None and item.raw_prediction.shape != item.reference.shape):
        raise ValueError(f"case {item.case}: single objects are not measured on a resampled prediction")
    maps = item.instances
    found = (maps.prediction, maps.reference) if maps else (None, None)
    for array in found:
        if array is not None and array.shape != item.reference.shape:
            raise ValueError(
                f"case {item.case}: its map of instances has the shape {array.shape}, its label map "
                f"{item.reference.shape}; give maps of one size"
            )
    of_class = (item.predicted == value, item.reference == value)
    if not alone:  # the class of a numbered object stands in the label map
        prediction, reference = (
            connected_instances(mask) if array is None else np.where(mask, array, 0)
            for array, mask in zip(found, of_class, strict=True)
        )
        return prediction, reference
    reference = numbered_objects(item.geometry.array, kind) if found[1] is None else found[1]
    if found[0] is not None:
        return found[0], reference
    if item.raw_prediction is None or maps:
        return np.zeros_like(reference), reference
    return numbered_objects(item.raw_prediction, kind), reference


def summarize_instances(objects: Sequence[InstanceCounts], bootstrap: Bootstrap) -> dict[str, Any]:
    """Summarise the objects of all cases.

    Returns:
        ``per_case`` (description and interval of every value over cases), ``pooled`` (values of all objects taken
        together), ``pooled_ci95`` (their intervals, ``[low, high]``) and ``iou_threshold``; undefined values are
        ``None``.
    """
    per_case: dict[str, Any] = {}
    of_all: dict[str, float | None] = {}
    intervals: dict[str, list[float | None]] = {}
    values = [item.values() for item in objects]
    ratios = [item.ratios() for item in objects]
    for name in _VALUES:
        of_cases = np.array([of_case[name] for of_case in values])
        low, high = bootstrap.mean_interval(of_cases)
        per_case[name] = {**describe(of_cases), "ci95_low": low, "ci95_high": high}
        above, below = np.array([of_case[name] for of_case in ratios], dtype=float).reshape(-1, 2).T
        total = math.fsum(below)
        of_all[name] = math.fsum(above) / total if total else None
        intervals[name] = list(bootstrap.ratio_interval(above, below))
    tp, fp, fn = (sum(getattr(item.match, name) for item in objects) for name in ("tp", "fp", "fn"))
    return {
        "iou_threshold": THRESHOLD,
        "per_case": per_case,
        "pooled": {"tp": tp, "fp": fp, "fn": fn, **of_all},
        "pooled_ci95": intervals,
    }


def instances_to_csv(objects: Sequence[InstanceCounts]) -> str:
    """CSV text, one line per case."""
    return csv_table(INSTANCE_COLUMNS, (item.row() for item in objects))
