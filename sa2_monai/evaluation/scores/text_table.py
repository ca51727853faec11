# SPDX-License-Identifier: Apache-2.0
"""Tables of text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["aligned"]


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of a table with a rule below the first: two columns to the left, the others to the right.

    Args:
        rows: cells as text, the head first; all of the same number.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return lines
