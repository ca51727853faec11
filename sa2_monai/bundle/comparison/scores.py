# SPDX-License-Identifier: Apache-2.0
"""The scores of a network as the report has them, and those of all cases as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.evaluation import EvaluationResult
from sa2_monai.evaluation.scores.rows import STATES, csv_table

__all__ = ["METRICS", "scores_of", "scores_table"]

#: Those that networks are compared by.
METRICS = ("dice", "nsd", "hd95")
_COLUMNS = ("network", "fold", "case", "class_value", "class_name", "status", *METRICS)


def scores_of(result: EvaluationResult) -> dict[str, Any]:
    """What the tables show of an evaluation.

    Args:
        result: the cases of all folds, each by the model that has not seen it.

    Returns:
        ``cases``, ``overall`` (mean of class means) and ``per_class``: ``mean``, ``ci95_low`` and ``ci95_high`` of each
        metric, in [0, 1] or in the unit of distances; ``counts`` of structures by their state, for each class and all
        together; ``failed`` (number of cases) and ``warnings``.
    """
    summary = result.summary
    per_class = {
        name: {**{metric: _mean(block[metric], "mean") for metric in METRICS}, "counts": block["counts"]}
        for name, block in summary["per_class"].items()
    }
    return {
        "cases": summary["cases"],
        "overall": {metric: _mean(summary["overall"][metric], "mean_of_class_means") for metric in METRICS},
        "per_class": per_class,
        "counts": {state: sum(block["counts"][state] for block in per_class.values()) for state in STATES},
        "failed": len(result.failed),
        "warnings": list(summary["warnings"]),
    }


def scores_table(results: Mapping[str, EvaluationResult]) -> str:
    """A line for each network, case and class, as CSV.

    Args:
        results: by name of the network.
    """
    rows: Sequence[Mapping[str, Any]] = [
        {"network": name, **row} for name, result in results.items() for row in result.per_case
    ]
    return csv_table(_COLUMNS, rows)


def _mean(block: Mapping[str, Any], mean: str) -> dict[str, float | None]:
    return {"mean": block[mean], "ci95_low": block["ci95_low"], "ci95_high": block["ci95_high"]}
