# SPDX-License-Identifier: Apache-2.0
"""Axes of plots: round numbers, and where a value lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Axis", "axis_of", "ticks"]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover a range, first one at most ``low`` and last one at least ``high``."""
    span = (high - low) or 1.0
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


@dataclass(frozen=True)
class Axis:
    """A range of values on a range of the drawing.

    Attributes:
        low: value at ``start``.
        high: value at ``end``.
        start: place of the lowest value; above ``end`` for an axis that goes up.
        end: place of the highest value.
        values: of the marks.
    """

    low: float
    high: float
    start: float
    end: float
    values: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where a value lies; one beyond the ends lies at the end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Place and text of every mark."""
        return [(self.at(value), f"{value:g}".replace("-", "\N{MINUS SIGN}")) for value in self.values]


def axis_of(low: float, high: float, start: float, end: float, count: int = 5) -> Axis:
    """An axis that covers a range of values, with round numbers at its ends."""
    marks = ticks(low, high, count)
    return Axis(marks[0], max(marks[-1], marks[0] + 1e-12), start, end, tuple(marks))
