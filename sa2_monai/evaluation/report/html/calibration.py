# SPDX-License-Identifier: Apache-2.0
"""Plots of a calibration: reliability diagrams, and the curve of risk and coverage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sa2_monai.evaluation.report.html.curves import Curve, plot_lines

__all__ = ["CALIBRATION_NAME", "reliability_curves", "risk_curves"]

#: Of the document that ``sa2-monai calibrate`` writes to ``eval`` of a run.
CALIBRATION_NAME = "calibration.json"
_COLOURS = {"before": 1, "after": 2, "entropy": 2, "ideal": 3}


def reliability_curves(document: Mapping[str, Any], classes: Iterable[str] | None = None) -> list[Curve]:
    """How often it came true, by probability, before and after.

    Args:
        document: content of ``calibration.json``.
        classes: names, a plot each; ``None`` for one of the predicted class, over all pixels.
    """
    parts = {when: document["test"][when] for when in ("before", "after")}
    if classes is None:
        plots = {"Reliability": parts}
    else:
        plots = {name: {when: part["per_class"][name] for when, part in parts.items()} for name in classes}
    return [curve for title, found in plots.items() if (curve := _reliability_curve(title, found)) is not None]


def _reliability_curve(title: str, parts: Mapping[str, Mapping[str, Any]]) -> Curve | None:
    points = {
        when: [(row["probability"], row["frequency"]) for row in part["reliability"]] for when, part in parts.items()
    }
    if not any(points.values()):
        return None
    points["calibrated"] = [(0.0, 0.0), (1.0, 1.0)]
    return plot_lines(title, points, _COLOURS, 1.0, "probability", limits=(0.0, 1.0))


def risk_curves(document: Mapping[str, Any]) -> list[Curve]:
    """Mean risk of the cases that are kept, by their share; empty where no case has a Dice.

    Args:
        document: content of ``calibration.json``.
    """
    found = document["test"]["after"]["risk_coverage"]
    if not found:
        return []
    lines = {
        "entropy": list(zip(found["coverage"], found["risk"], strict=True)),
        "ideal": list(zip(found["coverage"], found["ideal_risk"], strict=True)),
        "chance": [(found["coverage"][0], found["chance"]), (1.0, found["chance"])],
    }
    curve = plot_lines("Risk (1 \N{MINUS SIGN} Dice) by coverage", lines, _COLOURS, 1.0, "coverage")
    return [] if curve is None else [curve]
