# SPDX-License-Identifier: Apache-2.0
"""Robustness curves: Dice over the strengths of each corruption, of one model or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sa2_monai.bundle.stress.corruptions import STRENGTHS
from sa2_monai.evaluation.report.html.curves import Curve, plot_lines

__all__ = ["robustness_curves"]

#: Strength, Dice, ends of its interval.
Point = tuple[float, float, float, float]


def robustness_curves(documents: Mapping[str, Mapping[str, Any]]) -> list[Curve]:
    """A plot for each corruption, with a line for each model and a band for the 95 % interval of a single one.

    Args:
        documents: content of ``stress.json`` by name of the model. All plots have one axis of Dice.

    Returns:
        Plots for the macro ``curve_plot`` of the reports.
    """
    points = {name: _points(document) for name, document in documents.items()}
    single = len(documents) == 1
    every = [point for of_model in points.values() for of_corruption in of_model.values() for point in of_corruption]
    heights = [height for point in every for height in (point[1:] if single else point[1:2])]
    if not heights:
        return []
    values = {} if single else {name: number for number, name in enumerate(documents, start=1)}
    titles = {key: found["title"] for document in documents.values() for key, found in document["corruptions"].items()}
    curves = []
    for key, title in titles.items():
        shown = {name: of_model[key] for name, of_model in points.items() if key in of_model}
        lines = {name: [(strength, dice) for strength, dice, _, _ in found] for name, found in shown.items()}
        bands = {name: [(x, low, high) for x, _, low, high in found] for name, found in shown.items()} if single else {}
        curve = plot_lines(
            title, lines, values, STRENGTHS[-1], "strength", bands=bands, limits=(min(heights), max(heights))
        )
        curves += [curve] if curve else []
    return curves


def _points(document: Mapping[str, Any]) -> dict[str, list[Point]]:
    clean = {"strength": 0, **document["clean"]}
    return {
        name: [_point(entry) for entry in (clean, *found["strengths"]) if entry["dice"] is not None]
        for name, found in document["corruptions"].items()
    }


def _point(entry: Mapping[str, Any]) -> Point:
    dice = entry["dice"]
    ends = (dice if entry[end] is None else entry[end] for end in ("ci95_low", "ci95_high"))
    low, high = ends
    return float(entry["strength"]), dice, low, high
