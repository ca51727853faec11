# SPDX-License-Identifier: Apache-2.0
"""Holm's correction of p values for the number of tests."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["holm"]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values: with those below 0.05 taken, the chance of any false one among them is at most 5 %.

    The smallest of ``m`` p values is multiplied by ``m``, the next by ``m - 1`` and so on; none becomes smaller than
    the one before, or larger than 1. It holds however the tests depend on each other, as those of pairs of networks do.

    Args:
        p_values: of a family of tests, in [0, 1]; ``None`` where there was nothing to test, which counts as no test.

    Returns:
        The adjusted ones in the same order; ``None`` stays.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979), 65-70.
    """
    tested = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        adjusted[index] = largest
    return adjusted
