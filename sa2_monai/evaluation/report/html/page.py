# SPDX-License-Identifier: Apache-2.0
"""The page of an evaluation: its sections one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sa2_monai.evaluation.report.html.calibration import reliability_curves, risk_curves
from sa2_monai.evaluation.report.html.cases import case_lines, class_columns, found_structures
from sa2_monai.evaluation.report.html.curves import Curve, learning_curves
from sa2_monai.evaluation.report.html.environment import render_page, report_environment
from sa2_monai.evaluation.report.html.images import ReportImages
from sa2_monai.evaluation.report.html.metrics import explanations
from sa2_monai.evaluation.report.html.numbers import number
from sa2_monai.evaluation.report.html.origin import Origin
from sa2_monai.evaluation.report.html.plots import box_plots, difference_plot
from sa2_monai.evaluation.result import EvaluationResult

__all__ = ["HTML_NAME", "html_report"]

HTML_NAME = "report.html"
#: Name of the template and title of each section; one without content is left out.
SECTIONS = {
    "limits": "Limits",
    "classes": "Classes",
    "missed": "Missed and false structures",
    "failed": "Failed cases",
    "images": "Images",
    "cases": "Cases",
    "plots": "Distributions",
    "sizes": "Sizes of objects",
    "strata": "Easy and hard cases",
    "objects": "Single objects",
    "comparison": "Comparison",
    "calibration": "Calibration",
    "training": "Training",
    "metrics": "All metrics",
    "warnings": "Warnings",
    "deviations": "Deviations from the publication",
    "settings": "Settings",
    "versions": "Versions",
}


def html_report(
    result: EvaluationResult,
    images: ReportImages | None = None,
    comparison: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    origin: Origin | None = None,
    second: EvaluationResult | None = None,
    second_origin: Origin | None = None,
    written: str = "",
) -> str:
    """Write the report of an evaluation as HTML.

    Args:
        result: an evaluation.
        images: what :func:`sa2_monai.evaluation.report.html.images.collect_images` returned.
        comparison: what :func:`sa2_monai.evaluation.compare` returned, to be shown as well.
        settings: of the run, to be listed with those of the protocol.
        origin: model, data and training.
        second: the evaluation of the model that was compared with.
        second_origin: its model.
        written: date of the report.

    Returns:
        The content of the file.
    """
    origin = origin or Origin()
    summary = result.summary
    images = images or ReportImages()
    values = {
        "subject": (origin.model or "Evaluation report") + (f" on {origin.data}" if origin.data else ""),
        "result": result,
        "summary": summary,
        "protocol": summary["protocol"],
        "unit": summary["protocol"]["unit"],
        "explanations": explanations(summary),
        "found": found_structures(result),
        "images": images,
        "figure_of": {figure.case: index for index, figure in reversed(list(enumerate(images.figures, start=1)))},
        "lines": case_lines(result, second),
        "class_columns": class_columns(result),
        "plots": box_plots(result, summary["protocol"]["unit"]),
        "curves": learning_curves(origin.history, summary["classes"]),
        "comparison": comparison,
        "calibration": origin.calibration,
        "calibration_curves": _calibration_curves(origin.calibration),
        "difference_plot": None if second is None else difference_plot(result, second),
        "class_values": {name: int(value) for value, name in summary["classes"].items()},
        "strata_keys": _strata_keys(summary),
        "published": {k: number(v) for k, v in summary.get("paper", {}).items() if isinstance(v, float)},
        "settings": {
            **{f"protocol: {key}": value for key, value in summary["protocol"].items()},
            **(settings or {}),
            **({"weights: sha256": origin.weights} if origin.weights else {}),
        },
        "origin": origin,
        "second_origin": second_origin or Origin(),
        "written": written,
        "constant": [text for text in summary["warnings"] if text.startswith("constant_prediction:")],
    }
    return render_page(report_environment(), "page.html", SECTIONS, values)


def _calibration_curves(document: Mapping[str, Any]) -> list[Curve]:
    return [*reliability_curves(document), *risk_curves(document)] if document else []


def _strata_keys(summary: Mapping[str, Any]) -> set[str]:
    """The metrics that any stratum of sizes has."""
    strata = summary.get("size_strata", {}).get("below_percent", {}).values()
    return {key for stratum in strata for key in stratum.get("overall", {})}
