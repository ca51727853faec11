# SPDX-License-Identifier: Apache-2.0
"""Rows of a suite, and their Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Row", "Skipped", "printed", "table"]

Row = dict[str, Any]
_UNITS = {"s": "s", "ms": "ms", "mb": "MB", "gib": "GiB"}


class Skipped(Exception):
    """This machine cannot run the suite; the message is the reason and what to do."""


def printed(rows: Iterable[Row]) -> Iterator[Row]:
    """Pass rows on, each printed as a line of a table as soon as it is there; one with a new column starts a table."""
    columns: list[str] = []
    for row in rows:
        if not set(row) <= set(columns):
            columns = list(row)
            print(f"\n| {' | '.join(map(_title, columns))} |\n|{'---|' * len(columns)}")
        print(f"| {' | '.join(_text(row.get(column)) for column in columns)} |", flush=True)
        yield row


def table(rows: Iterable[Row]) -> str:
    """Rows as one Markdown table."""
    lines: list[str] = []
    for row in rows:
        if not lines:
            lines = [f"| {' | '.join(map(_title, row))} |", f"|{'---|' * len(row)}"]
        lines.append(f"| {' | '.join(map(_text, row.values()))} |")
    return "\n".join(lines) + "\n"


def _title(column: str) -> str:
    words, _, unit = column.rpartition("_")
    return f"{words.replace('_', ' ')}, {_UNITS[unit]}" if words and unit in _UNITS else column.replace("_", " ")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)
