# SPDX-License-Identifier: Apache-2.0
"""Numbers for people: three significant digits, a dash where there is none."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["DASH", "duration", "interval", "number", "p_value", "signed"]

DASH = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_NO_BREAK = "\N{NO-BREAK SPACE}"
_SMALLEST = -4  # power of ten below which a number is written with its exponent


def number(value: Any) -> str:
    """A number with three significant digits; whole numbers and texts as they are.

    Args:
        value: anything; ``None`` and ``NaN`` become a dash.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if not isinstance(value, float) or math.isinf(value):
        return str(value).replace("inf", "\N{INFINITY}") if isinstance(value, float) else str(value)
    rounded = float(f"{value:.3g}")
    power = math.floor(math.log10(abs(rounded))) if rounded else 0
    text = f"{value:.2e}" if power < _SMALLEST else f"{rounded:.{max(0, 2 - power)}f}"
    return text.replace("-", _MINUS)


def signed(value: float | None) -> str:
    """A difference, with its sign."""
    return f"+{number(value)}" if value is not None and value > 0 else number(value)


def interval(low: float | None, high: float | None, sign: bool = False) -> str:
    """Both ends of an interval, which stay in one line."""
    if low is None or high is None:
        return DASH
    if sign:
        return f"{signed(low)} to {signed(high)}"  # a dash between two signs would be a third one
    return f"{number(low)}{_NO_BREAK}{DASH}{_NO_BREAK}{number(high)}"


def p_value(value: float | None) -> str:
    """A p value; three digits of a very small one would claim more than a test can say."""
    return f"<{_NO_BREAK}0.001" if value is not None and value < 0.001 else number(value)


def duration(seconds: float | None) -> str:
    """A time in the two largest units that say something, ``3 h 12 min``."""
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{number(float(seconds))}{_NO_BREAK}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{_NO_BREAK}min {rest}{_NO_BREAK}s" if rest else f"{minutes}{_NO_BREAK}min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{_NO_BREAK}h {minutes}{_NO_BREAK}min" if minutes else f"{hours}{_NO_BREAK}h"
