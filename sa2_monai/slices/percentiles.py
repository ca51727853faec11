# SPDX-License-Identifier: Apache-2.0
"""Percentiles of more values than one wants to copy: those of NumPy, bit for bit, from blocks of the values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

__all__ = ["block_percentiles", "order_statistics"]

Blocks = Callable[[], Iterable[np.ndarray]]

_SIGN = np.uint32(2**31)


def block_percentiles(blocks: Blocks, count: int, percentiles: Sequence[float]) -> list[float]:
    """What ``numpy.percentile`` says of all values together, by its own last step on the two neighbours in order.

    Args:
        blocks: gives the values anew with each call, arrays of any shape, ``float32`` without NaN.
        count: of all values.
        percentiles: 0 to 100.
    """
    # As NumPy places them: between two values in order, with the double precision of its quotient.
    places = [(count - 1) * np.true_divide(np.float64(q), np.float32(100)) for q in percentiles]
    below = [int(np.floor(place)) for place in places]
    ranks = sorted({rank for k in below for rank in (k, min(k + 1, count - 1))})
    found = dict(zip(ranks, order_statistics(blocks, ranks), strict=True))
    pairs = [np.array([found[k], found[min(k + 1, count - 1)]], dtype=np.float32) for k in below]
    return [
        float(np.quantile(pair, np.asarray(place - k))) for pair, place, k in zip(pairs, places, below, strict=True)
    ]


def order_statistics(blocks: Blocks, ranks: Sequence[int]) -> list[np.float32]:
    """The values at some ranks in ascending order, found by counting first and last halves of their patterns.

    Args:
        blocks: see :func:`block_percentiles`.
        ranks: from 0, ascending.
    """
    counts = np.zeros(2**16, dtype=np.int64)
    for block in blocks():
        counts += np.bincount(_ordered(block) >> 16, minlength=2**16)
    ends = np.cumsum(counts)
    halves = np.searchsorted(ends, ranks, side="right")
    last = {int(half): np.zeros(2**16, dtype=np.int64) for half in halves}
    for block in blocks():
        patterns = _ordered(block)
        first = patterns >> 16
        for half, seen in last.items():
            seen += np.bincount(patterns[first == half] & 0xFFFF, minlength=2**16)
    found = []
    for rank, half in zip(ranks, halves.tolist(), strict=True):
        within = rank - (int(ends[half]) - int(counts[half]))
        pattern = half << 16 | int(np.searchsorted(np.cumsum(last[half]), within, side="right"))
        found.append(_value(np.uint32(pattern)))
    return found


def _ordered(block: np.ndarray) -> np.ndarray:
    """Patterns of ``float32`` as whole numbers in the same order."""
    patterns = np.ascontiguousarray(block).reshape(-1).view(np.uint32)
    return np.where(patterns & _SIGN, ~patterns, patterns | _SIGN)


def _value(pattern: np.uint32) -> np.float32:
    bits = pattern ^ _SIGN if pattern & _SIGN else ~pattern
    return np.array([bits], dtype=np.uint32).view(np.float32)[0]
