# SPDX-License-Identifier: Apache-2.0
"""Paired comparison of two evaluations of the same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.permutation import PermutationTest
from sa2_monai.evaluation.scores.statistics import Bootstrap, interval, nan_mean, none_if_nan
from sa2_monai.evaluation.scores.summary import few_cases, matrix

__all__ = ["METRICS", "comparable_metrics", "compare"]

#: Columns that two models are compared by.
METRICS = ("dice", "jaccard", "nsd", "hd95")


def _difference(a: np.ndarray, b: np.ndarray, draws_a: np.ndarray, draws_b: np.ndarray, valid: int) -> dict[str, Any]:
    mean_a, mean_b = float(a), float(b)
    low, high = interval(draws_a - draws_b) if valid >= 2 else (None, None)
    return {
        "a": none_if_nan(mean_a),
        "b": none_if_nan(mean_b),
        "difference": none_if_nan(mean_a - mean_b),
        "ci95_low": low,
        "ci95_high": high,
    }


def comparable_metrics(result: EvaluationResult, extra: Sequence[str] = ()) -> list[str]:
    """The metrics of a comparison that the protocol of an evaluation has a mean of.

    Args:
        result: an evaluation.
        extra: further columns of it.
    """
    return [metric for metric in (*METRICS, *extra) if metric in result.summary["overall"]]


def compare(
    result_a: EvaluationResult,
    result_b: EvaluationResult,
    metrics: Sequence[str] = METRICS,
    *,
    bootstrap_samples: int = 2000,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
    permutation_samples: int = 10_000,
) -> dict[str, Any]:
    """Compare two models on the same cases: difference of their means (a - b), its interval, and a permutation test.

    Both means are taken over the same draws of cases. The test exchanges the two results of a case (or group) and is
    two-sided; its p values are not corrected for the number of classes and metrics. A false alarm of one model on a
    case without the structure counts for that model (Dice 0 against undefined), so the difference is that of the two
    headline numbers.

    Args:
        result_a: evaluation of the first model.
        result_b: evaluation of the second model.
        metrics: columns of the per-case table.
        bootstrap_samples: number of draws.
        seed: seed of the draws; the same index matrix as in :func:`sa2_monai.evaluation.evaluate`.
        groups: case -> group that is drawn and exchanged as a whole; ``None`` takes those of ``result_a``.
        permutation_samples: random exchanges of the test; with few cases all are computed, see
            :class:`sa2_monai.evaluation.scores.permutation.PermutationTest`.

    Returns:
        ``cases``, ``per_class[name][metric]`` and ``overall[metric]`` (mean of class means), each with ``a``, ``b``,
        ``difference``, ``ci95_low``, ``ci95_high``, ``p_value``, then ``test`` and ``warnings``; per class also
        ``n_pairs``, the number of cases in which both are defined. A case that failed in one is left out of both.

    Raises:
        ValueError: when protocol, cases or classes of the two differ, or a metric is unknown.
    """
    if result_a.summary["classes"] != result_b.summary["classes"]:
        raise ValueError(f"the classes differ: {result_a.summary['classes']} and {result_b.summary['classes']}")
    keys = ("name", "version", "family", "unit", "tolerance", "ignore_value")
    protocols = [{k: r.summary["protocol"].get(k) for k in keys} for r in (result_a, result_b)]
    if protocols[0] != protocols[1]:
        raise ValueError(f"the protocols differ: {protocols[0]} and {protocols[1]}; evaluate both in the same way")
    failed = {entry["case"] for result in (result_a, result_b) for entry in result.failed}
    cases = [case for case in result_a.cases if case not in failed]
    other = sorted((set(result_a.cases) ^ set(result_b.cases)) - failed)
    if other or not cases:
        raise ValueError(f"the cases differ, a comparison is paired: only one has {', '.join(other[:10]) or 'any'}")
    unknown = [metric for metric in metrics if not isinstance(result_a.per_case[0].get(metric), float)]
    if unknown:
        raise ValueError(f"unknown metrics {unknown}: expected columns of the per-case table that hold numbers")

    names = list(result_a.summary["classes"].values())
    bootstrap = Bootstrap(cases, groups if groups is not None else result_a.groups, bootstrap_samples, seed)
    test = PermutationTest(bootstrap.member, bootstrap.units, permutation_samples, seed)
    kept = set(cases)
    per_class: dict[str, dict[str, Any]] = {name: {} for name in names}
    overall: dict[str, Any] = {}
    for metric in metrics:
        rows_a, rows_b = (
            [row for row in result.per_case if row["class_name"] in per_class and row["case"] in kept]
            for result in (result_a, result_b)
        )
        a, b = matrix(rows_a, metric, cases, names), matrix(rows_b, metric, cases, names)
        for column, name in enumerate(names):
            u, v = a[:, column], b[:, column]
            pairs = int(np.count_nonzero(~np.isnan(u) & ~np.isnan(v)))
            block = _difference(nan_mean(u), nan_mean(v), bootstrap.means(u), bootstrap.means(v), pairs)
            per_class[name][metric] = {"n_pairs": pairs, **block, "p_value": test.p_value(u, v) if pairs else None}
        valid = int(np.count_nonzero(~np.isnan(a).all(axis=1) & ~np.isnan(b).all(axis=1)))
        means = (nan_mean(nan_mean(a, axis=0)), nan_mean(nan_mean(b, axis=0)))
        block = _difference(*means, bootstrap.class_means(a), bootstrap.class_means(b), valid)
        overall[metric] = {**block, "p_value": test.p_value(a, b) if valid else None}
    unit = "case" if bootstrap.units == len(cases) else "group"
    warnings = few_cases(bootstrap.units, f"{unit}s")
    if failed:
        warnings.append(f"failed: {len(failed)} cases failed in one of the two and are left out: {sorted(failed)[:10]}")
    if test.exact and bootstrap.units < 6:
        warnings.append(
            f"few_exchanges: {bootstrap.units} units have no p value below {2.0 ** (1 - bootstrap.units):g}"
        )
    return {
        "cases": len(cases),
        "per_class": per_class,
        "overall": overall,
        "test": {
            "name": "paired permutation test, two-sided",
            "unit": unit,
            "units": bootstrap.units,
            "exact": test.exact,
            "samples": len(test.exchanges),
            "seed": seed,
        },
        "warnings": warnings,
    }
