# SPDX-License-Identifier: Apache-2.0
"""Box and strip plots: where their parts lie. The template ``plots.html`` draws them as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sa2_monai.evaluation.report.html.axis import Axis, axis_of
from sa2_monai.evaluation.report.html.metrics import PLOTTED, SHARES, metric_title
from sa2_monai.evaluation.report.html.numbers import number
from sa2_monai.evaluation.result import EvaluationResult

__all__ = ["WIDTH", "Box", "BoxPlot", "PlotRow", "Point", "box_plot", "box_plots", "difference_plot"]

WIDTH = 520
_ROW, _TOP, _BOTTOM, _SIDE = 50, 4, 28, 14
_LABEL, _MIDDLE = 14, 29  # of a row: base line of its name, middle of its box
_MOST_POINTS, _OF_ALL_ROWS = 400, 1500  # of one row; beyond that the box and the outliers say it better
_SPREAD = 11  # height over which points lie


@dataclass(frozen=True)
class Box:
    """Places of whiskers, quartiles and median on the axis."""

    low: float
    p25: float
    median: float
    p75: float
    high: float


@dataclass(frozen=True)
class Point:
    """One case, and what is said when it is pointed at."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class PlotRow:
    """One class: its name, its median as text, places, and the points that are drawn."""

    name: str
    median: str
    label: float
    middle: float
    box: Box | None
    points: tuple[Point, ...]


@dataclass(frozen=True)
class BoxPlot:
    """A plot of one metric, a row for every class."""

    title: str
    height: int
    bottom: int
    axis: Axis
    rows: tuple[PlotRow, ...]
    width: int = WIDTH


def box_plots(result: EvaluationResult, unit: str) -> list[BoxPlot]:
    """Plots of the metrics that have values."""
    names = list(result.summary["per_class"])
    plots = []
    for metric in PLOTTED:
        rows = [
            (name, [(row["case"], row[metric]) for row in result.per_case if row["class_name"] == name])
            for name in names
        ]
        if any(math.isfinite(value) for _, cases in rows for _, value in cases):
            plots.append(box_plot(metric_title(metric, unit), rows, (0.0, 1.0) if metric in SHARES else None))
    return plots


def difference_plot(result: EvaluationResult, second: EvaluationResult) -> BoxPlot | None:
    """Differences of the Dice of every case; ``None`` where the protocol has no Dice of a case."""
    other = {(row["case"], row["class_name"]): row["dice"] for row in second.per_case}
    rows = [
        (
            name,
            [
                (row["case"], row["dice"] - other.get((row["case"], name), math.nan))
                for row in result.per_case
                if row["class_name"] == name
            ],
        )
        for name in result.summary["per_class"]
    ]
    values = [value for _, cases in rows for _, value in cases if math.isfinite(value)]
    if not values:
        return None
    title = "Dice by case, A \N{MINUS SIGN} B"
    return box_plot(title, rows, (min(0.0, *values), max(0.0, *values)))


def box_plot(
    title: str,
    rows: Sequence[tuple[str, Sequence[tuple[str, float]]]],
    limits: tuple[float, float] | None = None,
) -> BoxPlot:
    """Lay out a row for every class: all cases as points, and a box of quartiles with whiskers of 1.5 box lengths.

    Args:
        title: what is plotted, with its unit; also the text for screen readers.
        rows: name of the class and ``(case, value)`` of every case; values that are not finite are left out.
        limits: ends of the axis, or ``None`` for those of the values.
    """
    shown = [(name, [(case, value) for case, value in cases if math.isfinite(value)]) for name, cases in rows]
    values = [value for _, cases in shown for _, value in cases]
    if limits is None:
        limits = (min([0.0, *values]), max(values, default=1.0))
    axis = axis_of(*limits, _SIDE, WIDTH - _SIDE)
    bottom = _TOP + _ROW * len(shown)
    most = _MOST_POINTS if len(values) <= _OF_ALL_ROWS else 0
    laid = tuple(_row(name, cases, _TOP + _ROW * index, axis, most) for index, (name, cases) in enumerate(shown))
    return BoxPlot(title, bottom + _BOTTOM, bottom, axis, laid)


def _row(name: str, cases: Sequence[tuple[str, float]], top: float, axis: Axis, most: int) -> PlotRow:
    label, middle = top + _LABEL, top + _MIDDLE
    if not cases:
        return PlotRow(name, "no value", label, middle, None, ())
    values = np.array([value for _, value in cases])
    p25, median, p75 = np.percentile(values, [25, 50, 75])
    reach = 1.5 * (p75 - p25)
    inside = values[(values >= p25 - reach) & (values <= p75 + reach)]
    low, high = float(inside.min()), float(inside.max())
    points = tuple(
        # spread over the height in a fixed pattern, so that equal values do not hide each other
        Point(axis.at(value), round(middle + _SPREAD * ((index * 0.618034) % 1 - 0.5), 1), f"{case}: {number(value)}")
        for index, (case, value) in enumerate(cases)
        if len(cases) <= most or not low <= value <= high
    )
    box = Box(*(axis.at(float(value)) for value in (low, p25, median, p75, high)))
    return PlotRow(name, f"median {number(float(median))}", label, middle, box, points)
