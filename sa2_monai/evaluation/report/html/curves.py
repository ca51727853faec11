# SPDX-License-Identifier: Apache-2.0
"""The learning curve of a training, and where its lines lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sa2_monai.evaluation.report.html.axis import Axis, axis_of, ticks
from sa2_monai.evaluation.report.html.numbers import number

__all__ = ["Curve", "Line", "learning_curves", "plot_lines"]

_WIDTH, _HEIGHT = 520, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 10, 30
_MOST_LINES = 6  # of classes; more cannot be told apart
_MOST_DOTS = 100  # of a line, which can be pointed at

#: One line per epoch: the columns of ``history.csv`` that hold a number there.
History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Line:
    """One line: its name, the value of its class for the colour (``None`` for a mean), ``x,y`` of its points.

    Attributes:
        path: of the points, as the attribute ``points`` of a polyline.
        dots: points by themselves, with a text each; of very many only some.
        band: around the line, as the attribute ``points`` of a polygon; empty where there is none.
    """

    name: str
    class_value: int | None
    path: str
    dots: tuple[tuple[float, float, str], ...]
    band: str = ""


@dataclass(frozen=True)
class Curve:
    """A plot over epochs."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    best: tuple[float, float, str] | None = None
    width: int = _WIDTH
    height: int = _HEIGHT


def learning_curves(history: History, classes: Mapping[str, str]) -> list[Curve]:
    """Loss, and Dice of the validation, over the epochs.

    Args:
        history: what :func:`~sa2_monai.evaluation.report.history.read_history` returned.
        classes: value -> name of the classes, which have the colours of the overlays.
    """
    values = {name: int(value) for value, name in classes.items()}
    columns = list(dict.fromkeys(name for row in history for name in row))
    of_classes = [name for name in columns if name.startswith("val_dice_")][:_MOST_LINES]
    of_classes = of_classes if len(of_classes) > 1 else []
    dice = [(name.removeprefix("val_dice_"), name) for name in of_classes]
    mean = [("mean" if of_classes else "Dice", "val_mean_dice")]
    curves = [
        _curve("Loss", history, [("training", "train_loss")], {}),
        _curve("Dice of the validation", history, [*dice, *mean], values),
    ]
    return [curve for curve in curves if curve is not None]


def _curve(title: str, history: History, columns: Sequence[tuple[str, str]], values: Mapping[str, int]) -> Curve | None:
    points = {
        name: [(row["epoch"], row[column]) for row in history if math.isfinite(row.get(column, math.nan))]
        for name, column in columns
    }
    curve = plot_lines(title, points, values, max((row["epoch"] for row in history), default=0.0))
    if curve is None or "val_mean_dice" not in dict(columns).values():
        return curve
    epoch, value = max(points[columns[-1][0]], key=lambda point: point[1], default=(0.0, math.nan))
    if not math.isfinite(value):
        return curve
    return replace(curve, best=(curve.x.at(epoch), curve.y.at(value), f"best {number(value)} at epoch {epoch:g}"))


def plot_lines(
    title: str,
    points: Mapping[str, Sequence[tuple[float, float]]],
    values: Mapping[str, int],
    last: float,
    unit: str = "epoch",
    bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
    limits: tuple[float, float] | None = None,
) -> Curve | None:
    """Several lines in one plot; ``None`` without a point.

    Args:
        title: of the plot.
        points: of each line by its name, x first; a line without any is left out.
        values: number of the colour of a line, as of a class; a line without one has that of means.
        last: end of the x axis, which begins at 0.
        unit: of x, for what is said of a point.
        bands: around lines by their names, as x, lower and upper end.
        limits: of the y axis; ``None`` for those of the points.
    """
    points = {name: found for name, found in points.items() if found}
    if not points:
        return None
    all_y = [y for found in points.values() for _, y in found]
    low, high = limits or (min(all_y), max(all_y))
    margin = 0.0 if high > low else 0.05
    marks = tuple(mark for mark in ticks(0.0, last, 6) if mark <= last)
    x = Axis(0.0, last or 1.0, _LEFT, _WIDTH - _RIGHT, marks)
    y = axis_of(low - margin, high + margin, _HEIGHT - _BOTTOM, _TOP, 4)
    lines = (_line(name, found, values.get(name), x, y, unit) for name, found in points.items())
    return Curve(
        title, x, y, tuple(replace(line, band=_band((bands or {}).get(line.name, ()), x, y)) for line in lines)
    )


def _band(ends: Sequence[tuple[float, float, float]], x: Axis, y: Axis) -> str:
    """Along the upper ends, and back along the lower ones."""
    there = [(at, high) for at, _, high in ends]
    back = [(at, low) for at, low, _ in reversed(ends)]
    return " ".join(f"{x.at(at)},{y.at(end)}" for at, end in (*there, *back))


def _line(name: str, points: Sequence[tuple[float, float]], value: int | None, x: Axis, y: Axis, unit: str) -> Line:
    places = [(x.at(at), y.at(height), f"{name}, {unit} {at:g}: {number(height)}") for at, height in points]
    path = " ".join(f"{left},{top}" for left, top, _ in places)
    return Line(name, value, path, tuple(places[:: math.ceil(len(places) / _MOST_DOTS)]))
