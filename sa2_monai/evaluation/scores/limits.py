# SPDX-License-Identifier: Apache-2.0
"""Limits that a pipeline sets: the mean of a metric must not be below or above a number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sa2_monai.evaluation.scores.rows import DISTANCES, OVERLAPS
from sa2_monai.metrics.checks import at_most

__all__ = ["Limit", "check_classes", "check_limits", "parse_limits"]

HIGHER_IS_BETTER = (
    *(*OVERLAPS, "nsd", "detection_f1", "panoptic_quality", "segmentation_quality", "aji"),
    *("f2", "e_measure", "s_measure", "thresholded_jaccard", "cldice"),
)
LOWER_IS_BETTER = (*DISTANCES, "mean_absolute_error")
_ROUNDING = 1e-12  # relative, of the mean of shares


@dataclass(frozen=True)
class Limit:
    """One limit.

    Attributes:
        metric: column of the table per case, or the same with ``_worst`` (see ``empty="worst"``).
        name: class it belongs to; ``None`` for the mean of class means.
        value: the limit itself, which is still good.
        lowest: whether smaller means fail (``True``) or larger ones.
    """

    metric: str
    name: str | None
    value: float
    lowest: bool

    def __str__(self) -> str:
        """As it is written on the command line, with the sense of the comparison."""
        where = self.metric if self.name is None else f"{self.metric}:{self.name}"
        return f"{where} {'>=' if self.lowest else '<='} {self.value:g}"


def parse_limits(texts: Sequence[str], lowest: bool) -> list[Limit]:
    """Read limits such as ``dice=0.85`` or ``dice:liver=0.9,nsd=0.8``.

    Args:
        texts: one or more limits each, with commas between them.
        lowest: ``True`` for metrics that must not be smaller, ``False`` for those that must not be larger.

    Raises:
        ValueError: for other text, an unknown metric, or a metric whose better side is the other one.
    """
    limits = []
    for text in (part for item in texts for part in item.split(",")):
        found = re.fullmatch(r"\s*([a-z0-9_]+)(?::([^=]+))?\s*=\s*([^=]+)", text)
        try:
            value = float(found.group(3)) if found else math.nan
        except ValueError:
            value = math.nan
        if found is None or not math.isfinite(value):
            raise ValueError(f"limit {text!r}: expected METRIC=NUMBER or METRIC:CLASS=NUMBER, e.g. dice:liver=0.9")
        metric, name = found.group(1), found.group(2)
        plain = metric.removesuffix("_worst")
        right, wrong = (HIGHER_IS_BETTER, LOWER_IS_BETTER) if lowest else (LOWER_IS_BETTER, HIGHER_IS_BETTER)
        if plain in wrong:
            other = "--fail-over" if lowest else "--fail-under"
            raise ValueError(f"limit {text!r}: {plain} is better when {'smaller' if lowest else 'larger'}; use {other}")
        if plain not in right:
            raise ValueError(f"limit {text!r}: unknown metric {metric}, expected one of {', '.join(right)}")
        limits.append(Limit(metric, None if name is None else name.strip(), value, lowest))
    return limits


def check_classes(limits: Sequence[Limit], names: Sequence[str]) -> None:
    """Check the classes that limits name, before anything is measured.

    Args:
        limits: the limits.
        names: of the classes.

    Raises:
        ValueError: for a class that does not exist.
    """
    for limit in limits:
        if limit.name is not None and limit.name not in names:
            raise ValueError(f"limit {limit}: there is no class {limit.name!r}, expected one of {', '.join(names)}")


def check_limits(summary: Mapping[str, Any], limits: Sequence[Limit]) -> list[dict[str, Any]]:
    """Compare a summary with limits; a mean that does not exist does not pass.

    Returns:
        For every limit ``limit`` (text), ``value`` and ``passed``.

    Raises:
        ValueError: for a class that does not exist or a metric that the summary does not have.
    """
    return [_check(summary, limit) for limit in limits]


def _check(summary: Mapping[str, Any], limit: Limit) -> dict[str, Any]:
    per_class, overall = summary["per_class"], summary["overall"]
    check_classes([limit], list(per_class))
    objects = summary.get("instances", {}).get("per_case", {})
    if limit.metric in objects:
        value = objects[limit.metric]["mean"]
    elif limit.metric in overall:
        block = overall if limit.name is None else per_class[limit.name]
        value = block[limit.metric]["mean_of_class_means" if limit.name is None else "mean"]
    elif limit.name is None and isinstance(summary.get("paper", {}).get(limit.metric), float):
        value = summary["paper"][limit.metric]
    else:
        raise ValueError(
            f"limit {limit}: this evaluation has no {limit.metric}, only {', '.join([*overall, *objects])}"
        )
    passed = value is not None and _kept(limit, value)
    return {"limit": str(limit), "value": value, "passed": bool(passed)}


def _kept(limit: Limit, value: float) -> bool:
    """A mean that equals the limit passes, whatever its last digits: a mean of decimals is rounded, lengths more so."""
    if limit.metric.removesuffix("_worst") in DISTANCES:
        return bool(at_most(value, limit.value))
    return value >= limit.value * (1 - _ROUNDING) if limit.lowest else value <= limit.value * (1 + _ROUNDING)
