# SPDX-License-Identifier: Apache-2.0
"""``report.html`` of a comparison: one file that needs nothing else, in the look of the evaluation report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.bundle.comparison.differences import Row
from sa2_monai.bundle.comparison.robustness import losses_of
from sa2_monai.bundle.comparison.scores import METRICS
from sa2_monai.bundle.stress.curves import robustness_curves
from sa2_monai.evaluation import EvaluationResult
from sa2_monai.evaluation.report.html.curves import Curve
from sa2_monai.evaluation.report.html.environment import render_page, report_environment
from sa2_monai.evaluation.report.html.metrics import SHARES, explanations, metric_title
from sa2_monai.evaluation.report.html.plots import BoxPlot, box_plot
from sa2_monai.evaluation.report.overlays import case_scores
from sa2_monai.evaluation.scores.summary import NOTICE, software

__all__ = ["comparison_page"]

#: Name of the template and title of each section; one without content is left out.
SECTIONS = {
    "recommendation": "Recommendation",
    "scores": "Scores",
    "pairs": "Differences",
    "costs": "Speed and size",
    "compared_curves": "Learning curves",
    "distributions": "Distributions",
    "different": "Cases in which they differ most",
    "stress": "Corrupted images",
    "trainings": "Trainings",
    "request": "Settings",
    "versions": "Versions",
}


def comparison_page(
    document: Mapping[str, Any],
    results: Mapping[str, EvaluationResult],
    curves: Sequence[Curve] = (),
    rows: Sequence[Row] = (),
    written: str = "",
) -> str:
    """The content of the file.

    Args:
        document: content of ``compare.json``.
        results: evaluations by name of the network.
        curves: of the trainings.
        rows: the cases in which the networks differ most.
        written: date of the report.
    """
    first = next(iter(results.values()), None)
    scored = {name: entry for name, entry in document["networks"].items() if "scores" in entry}
    values = {
        "subject": f"{len(document['networks'])} networks on {document['data_name']}",
        "summary": {"software": software(), "cases": 0 if first is None else first.summary["cases"], "notice": NOTICE},
        "document": document,
        "scored": scored,
        "failed": {name: entry["error"] for name, entry in document["networks"].items() if entry.get("error")},
        "numbers": {name: number for number, name in enumerate(document["networks"], start=1)},
        "metrics": METRICS,
        "unit": document["unit"],
        "explanations": [] if first is None else explanations(first.summary),
        "fastest": _fastest(document),
        "curves": curves,
        "plots": _distributions(results, document["unit"]),
        "rows": rows,
        "stress_curves": robustness_curves(document["stress"]),
        "stress_losses": losses_of(document["stress"]),
        "switches": list(dict.fromkeys(name for entry in scored.values() for name in entry["settings"])),
        "class_values": {} if first is None else {name: int(v) for v, name in first.summary["classes"].items()},
        "written": written,
    }
    environment = report_environment("sa2_monai.bundle.comparison")
    return render_page(environment, "comparison_page.html", SECTIONS, values)


def _fastest(document: Mapping[str, Any]) -> float | None:
    costs = document["costs"]
    return min((found["seconds"] for found in costs["networks"].values()), default=None) if costs else None


def _distributions(results: Mapping[str, EvaluationResult], unit: str) -> list[BoxPlot]:
    """A row for each network: Dice of the cases; NSD and HD95, the mean over the classes."""
    plots = []
    for metric in METRICS:
        rows = [(name, list(_of_cases(result, metric).items())) for name, result in results.items()]
        if any(math.isfinite(value) for _, cases in rows for _, value in cases):
            plots.append(box_plot(metric_title(metric, unit), rows, (0.0, 1.0) if metric in SHARES else None))
    return plots


def _of_cases(result: EvaluationResult, metric: str) -> dict[str, float]:
    if metric == "dice":
        return case_scores(result)
    values: dict[str, list[float]] = {case: [] for case in result.cases}
    for row in result.per_case:
        if math.isfinite(row[metric]):
            values[row["case"]].append(row[metric])
    return {case: sum(found) / len(found) if found else math.nan for case, found in values.items()}
