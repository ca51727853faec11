# SPDX-License-Identifier: Apache-2.0
"""Contestants take turns (A B C, A B C, ...), so that a busy machine slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmark.frame.rows import Row

__all__ = ["compared", "take_turns"]


def take_turns(
    functions: Mapping[str, Callable[[], Any]],
    turns: int,
    warm: int = 1,
    synchronise: Callable[[], Any] = lambda: None,
) -> dict[str, list[float]]:
    """Seconds of each call.

    Args:
        functions: contestant to what is timed.
        turns: counted turns.
        warm: turns before them.
        synchronise: waits for the device; called before and after each call.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(-warm, turns):
        for name, function in functions.items():
            synchronise()
            start = time.perf_counter()
            function()
            synchronise()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def compared(seconds: Mapping[str, list[float]], base: str | None = None) -> dict[str, Row]:
    """Contestant to ``median_ms``, ``ratio`` and ``spread``.

    Args:
        seconds: of each turn.
        base: whom the others are compared with, by default the first one.
    """
    first = seconds[base or next(iter(seconds))]
    rows = {}
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(first, values, strict=True)]
        ratio = statistics.median(ratios)
        low, _, high = statistics.quantiles(ratios, method="inclusive") if len(ratios) > 1 else (None, None, None)
        spread = None if low is None or high is None else (high - low) / 2 / ratio
        rows[name] = {"median_ms": statistics.median(values) * 1000, "ratio": ratio, "spread": spread}
    return rows
