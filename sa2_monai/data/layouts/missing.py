# SPDX-License-Identifier: Apache-2.0
"""Which files of a numbered series are not there."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["missing_from_series"]

_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")


def missing_from_series(stems: Sequence[str], expected: int) -> list[str]:
    """Names that a series such as ``train_1`` to ``train_85`` lacks.

    Args:
        stems: names of the files that are there, without suffix.
        expected: how many there should be.

    Returns:
        Names, without what follows the number; empty where the names are no series whose gaps explain the difference,
        such as the numbers of an archive that a data set was drawn from.
    """
    series: dict[str, set[int]] = {}
    width: dict[str, int] = {}
    for stem in stems:
        match = _NUMBERED.fullmatch(stem)
        if match is None or any(c.isdigit() for c in match[1]):  # identifiers, not a series
            return []
        series.setdefault(match[1], set()).add(int(match[2]))
        width[match[1]] = min(len(match[2]), width.get(match[1], len(match[2])))
    lacking = expected - len(stems)
    missing = []
    for prefix, numbers in sorted(series.items()):
        # The end of a series is known only where it is the only one.
        first, last = min(1, min(numbers)), max(numbers)
        last = max(last, first + expected - 1) if len(series) == 1 else last
        if last - first + 1 - len(numbers) > lacking:
            return []
        missing += [f"{prefix}{n:0{width[prefix]}d}" for n in range(first, last + 1) if n not in numbers]
    return missing if len(missing) <= lacking else []
