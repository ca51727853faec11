# SPDX-License-Identifier: Apache-2.0
"""Box and strip plots as inline SVG, drawn here so that a report needs no library and no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

__all__ = ["box_plot", "ticks"]

_ROW, _LEFT, _RIGHT, _TOP, _BOTTOM, _WIDTH = 34, 150, 24, 8, 30, 720
_MOST_POINTS = 400  # of one row; beyond that the box and the outliers say it better


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover a range, first one at most ``low`` and last one at least ``high``."""
    span = (high - low) or 1.0
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def box_plot(
    title: str,
    rows: Sequence[tuple[str, Sequence[tuple[str, float]]]],
    limits: tuple[float, float] | None = None,
) -> str:
    """Draw a row for every class: all cases as points, and a box of quartiles with whiskers of 1.5 box lengths.

    Args:
        title: what is plotted, with its unit; also the text for screen readers.
        rows: name of the class and ``(case, value)`` of every case; values that are not finite are left out.
        limits: ends of the axis, or ``None`` for those of the values.

    Returns:
        An ``<svg>`` element.
    """
    shown = [(name, [(case, value) for case, value in cases if math.isfinite(value)]) for name, cases in rows]
    values = [value for _, cases in shown for _, value in cases]
    if limits is None:
        limits = (min([0.0, *values]), max(values, default=1.0))
    marks = ticks(*limits)
    low, high = marks[0], max(marks[-1], marks[0] + 1e-12)
    height = _TOP + _ROW * len(shown) + _BOTTOM

    def x(value: float) -> float:
        return _LEFT + (min(max(value, low), high) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'
    ]
    for mark in marks:
        at = f"{x(mark):.1f}"
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{_TOP}" y2="{height - _BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{at}" y="{height - _BOTTOM + 16}" text-anchor="middle">{mark:g}</text>')
    for number, (name, cases) in enumerate(shown):
        middle = _TOP + _ROW * (number + 0.5)
        label = name if len(name) <= 20 else f"{name[:19]}…"
        parts.append(f'<text x="{_LEFT - 10}" y="{middle + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        parts += _row(cases, middle, x)
    return "".join([*parts, "</svg>"])


def _row(cases: Sequence[tuple[str, float]], middle: float, x: object) -> list[str]:
    assert callable(x)
    if not cases:
        return [f'<text class="tick" x="{_LEFT + 6}" y="{middle + 4:.1f}">no value</text>']
    values = np.array([value for _, value in cases])
    p25, median, p75 = np.percentile(values, [25, 50, 75])
    reach = 1.5 * (p75 - p25)
    inside = values[(values >= p25 - reach) & (values <= p75 + reach)]
    lines = []
    for a, b in ((inside.min(), p25), (p75, inside.max())):
        lines.append(f'<line class="box" x1="{x(a):.1f}" x2="{x(b):.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>')
    lines.append(
        f'<rect class="box" x="{x(p25):.1f}" y="{middle - 9:.1f}" width="{max(x(p75) - x(p25), 0.5):.1f}" height="18"/>'
    )
    lines.append(
        f'<line class="median" x1="{x(median):.1f}" x2="{x(median):.1f}" y1="{middle - 9:.1f}" y2="{middle + 9:.1f}"/>'
    )
    few = len(cases) <= _MOST_POINTS
    for index, (case, value) in enumerate(cases):
        if few or value < inside.min() or value > inside.max():
            # spread over the height in a fixed pattern, so that equal values do not hide each other
            y = middle + 12 * ((index * 0.618034) % 1 - 0.5)
            tip = f"<title>{escape(case)}: {value:.4g}</title>"
            lines.append(f'<circle class="point" cx="{x(value):.1f}" cy="{y:.1f}" r="2.6">{tip}</circle>')
    return lines
