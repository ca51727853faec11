# SPDX-License-Identifier: Apache-2.0
"""Blocks of a slide whose windows are those of the whole slide, and whose inner parts cover it once.

A normal prediction puts windows at every ``window * (1 - overlap)`` pixels and the last one at the border, and blends
them. A block reaches from the first to the last of some neighbouring windows; pixels that see all of their windows in
it get what they would get in one piece. These inner parts lie side by side, the blocks overlap a little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Span", "block_spans"]


@dataclass(frozen=True)
class Span:
    """A block along one axis: pixels ``start`` to ``stop`` are seen, ``first`` to ``last`` are its inner part."""

    start: int
    stop: int
    first: int
    last: int


def block_spans(length: int, window: int, overlap: float, target: int = 1024) -> list[Span]:
    """Divide an axis.

    Args:
        length: pixels.
        window: of the network, in pixels.
        overlap: of neighbouring windows, in units of the window.
        target: pixels that a block should have; it has about as many.

    Returns:
        Blocks in order; their inner parts cover the axis without gap or overlap.
    """
    if length <= window:
        return [Span(0, length, 0, length)]
    interval = max(1, int(window * (1 - overlap)))
    count = math.ceil((length - window) / interval) + 1
    starts = [min(index * interval, length - window) for index in range(count)]
    # The inner part has to move on by a window at least.
    several = max(math.ceil((target - window) / interval) + 1, 2 * math.ceil(window / interval) + 1)
    spans: list[Span] = []
    begin = 0
    while True:
        end = min(begin + several, count)  # windows begin to end - 1
        first = spans[-1].last if spans else 0
        last = length if end == count else starts[end]
        spans.append(Span(starts[begin], starts[end - 1] + window, first, last))
        if end == count:
            return spans
        # The next block begins with the first window that a pixel behind `last` can see.
        begin = next(index for index in range(count) if starts[index] + window > last)
