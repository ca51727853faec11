# SPDX-License-Identifier: Apache-2.0
"""The summary of a table of rows: per class, overall, worst cases, warnings."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sa2_monai.evaluation.scores.rows import DISTANCES, METRICS, OVERLAPS, STATES
from sa2_monai.evaluation.scores.statistics import Bootstrap, describe, nan_mean, none_if_nan
from sa2_monai.version import __version__

__all__ = ["few_cases", "matrix", "software", "summarize", "summarize_stratum", "summary_document", "worst_case_value"]

FEW_CASES = 20
WORST_LISTED = 10
NOTICE = "Research result, not for diagnosis."
_WORST_METRICS = ("dice", "jaccard", "nsd", *DISTANCES)


def software() -> dict[str, str | None]:
    """Versions of this package and of those that the numbers come from; nothing is imported for it."""
    versions: dict[str, str | None] = {"package": f"sa2_monai {__version__}"}
    for name in ("monai", "torch", "numpy", "scipy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def few_cases(units: int, what: str = "cases") -> list[str]:
    """Return the warning of section 6 for intervals from fewer than 20 units, or nothing."""
    if units >= FEW_CASES:
        return []
    return [f"few_cases: {units} {what}; below about {FEW_CASES} the confidence intervals are too narrow"]


def matrix(rows: Sequence[Mapping[str, Any]], metric: str, cases: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Arrange one metric as ``(cases, classes)``."""
    row_of = {case: index for index, case in enumerate(cases)}
    column_of = {name: index for index, name in enumerate(names)}
    values = np.full((len(cases), len(names)), np.nan)
    for row in rows:
        values[row_of[row["case"]], column_of[row["class_name"]]] = row[metric]
    return values


def worst_case_value(row: Mapping[str, Any], metric: str, diagonal: float) -> float:
    """Value of the view ``empty: worst``.

    A distance of a missed or spurious structure is the diagonal of the array; an absent structure is right: distance 0,
    Dice (and Jaccard, NSD) 1.
    """
    value = float(row[metric])
    if row["status"] == "absent":
        return 0.0 if metric in DISTANCES else 1.0
    if row["status"] != "ok" and metric in DISTANCES:
        return diagonal
    return value


def _overall(values: np.ndarray, names: Sequence[str], bootstrap: Bootstrap | None) -> dict[str, Any]:
    class_means = nan_mean(values, axis=0)
    low, high = bootstrap.class_mean_interval(values) if bootstrap else (None, None)
    headline, by_case = float(nan_mean(class_means)), float(nan_mean(nan_mean(values, axis=1)))
    return {
        "mean_of_class_means": none_if_nan(headline),
        "ci95_low": low,
        "ci95_high": high,
        "mean_of_case_means": none_if_nan(by_case),
        "classes_without_valid_case": [n for n, mean in zip(names, class_means, strict=True) if math.isnan(mean)],
    }


def summarize(
    rows: Sequence[Mapping[str, Any]],
    cases: Sequence[str],
    names: Sequence[str],
    bootstrap: Bootstrap | None,
    metrics: Sequence[str] = METRICS,
    diagonals: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Compute the blocks ``per_class``, ``overall`` and ``worst_cases`` of a summary.

    Args:
        rows: one per case and class, with the columns of the per-case table.
        cases: names of the cases, sorted.
        names: names of the classes that are summarised.
        bootstrap: draws over ``cases``; ``None`` leaves the intervals out (``null``).
        metrics: columns to summarise.
        diagonals: length of the array's diagonal per case; when given, every metric that section 3 replaces gets a
            second block ``<metric>_worst``.

    Returns:
        The three blocks with plain Python numbers, ``None`` where undefined.
    """
    per_class: dict[str, dict[str, Any]] = {name: {} for name in names}
    overall: dict[str, Any] = {}
    tables = {metric: matrix(rows, metric, cases, names) for metric in metrics}
    if diagonals is not None:
        for metric in _WORST_METRICS:
            worst = [{**row, metric: worst_case_value(row, metric, diagonals[row["case"]])} for row in rows]
            tables[f"{metric}_worst"] = matrix(worst, metric, cases, names)
    for metric, values in tables.items():
        for column, name in enumerate(names):
            low, high = bootstrap.mean_interval(values[:, column]) if bootstrap else (None, None)
            per_class[name][metric] = {**describe(values[:, column]), "ci95_low": low, "ci95_high": high}
        overall[metric] = _overall(values, names, bootstrap)
    for name in names:
        states = [row["status"] for row in rows if row["class_name"] == name]
        per_class[name]["counts"] = {state: states.count(state) for state in STATES}
    listed = [row for row in rows if row["class_name"] in per_class and not math.isnan(row["dice"])]
    listed.sort(key=lambda row: (row["dice"], row["case"], row["class_value"]))
    worst_cases = [
        {"case": row["case"], "class": row["class_name"], "dice": float(row["dice"])} for row in listed[:WORST_LISTED]
    ]
    return {"per_class": per_class, "overall": overall, "worst_cases": worst_cases}


def summarize_stratum(
    rows: Sequence[Mapping[str, Any]],
    cases: Sequence[str],
    names: Sequence[str],
    bootstrap_of: Callable[[Sequence[str]], Bootstrap],
    extra: Sequence[str] = (),
) -> dict[str, Any]:
    """Summarise some of the cases.

    Args:
        rows: one per case and class, of all cases.
        cases: names of those that belong to the stratum.
        names: of the classes.
        bootstrap_of: makes the draws over given cases.
        extra: further metrics.

    Returns:
        ``images`` (their number), ``cases``, and where there are any ``few_cases`` and the blocks ``per_class`` and
        ``overall`` of a summary.
    """
    stratum: dict[str, Any] = {"images": len(cases), "cases": list(cases)}
    if cases:
        bootstrap = bootstrap_of(cases)
        chosen = set(cases)
        kept = [row for row in rows if row["case"] in chosen]
        blocks = summarize(kept, cases, names, bootstrap, (*OVERLAPS, "nsd", "hd95", *extra))
        stratum["few_cases"] = bootstrap.units < FEW_CASES
        stratum.update(per_class=blocks["per_class"], overall=blocks["overall"])
    return stratum


def summary_document(
    protocol: Mapping[str, Any],
    cases: int,
    classes: Mapping[int, str],
    blocks: Mapping[str, Any],
    failed: Sequence[Mapping[str, str]],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Put the content of ``metrics_summary.json`` together, the same for both protocols.

    Args:
        protocol: name, version and variant of the protocol.
        cases: number of the cases that were measured.
        classes: value -> name of the classes that are summarised.
        blocks: what :func:`summarize` returned, and further blocks.
        failed: the cases that could not be measured.
        warnings: what is doubtful, one sentence each.
    """
    return {
        "protocol": dict(protocol),
        "software": software(),
        "cases": cases,
        "classes": {str(value): name for value, name in classes.items()},
        **blocks,
        "failed": list(failed),
        "warnings": list(warnings),
        "notice": NOTICE,
    }
