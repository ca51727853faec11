# SPDX-License-Identifier: Apache-2.0
"""The table of cases and the patients that they belong to."""

from __future__ import annotations

import csv
from pathlib import Path

__all__ = ["read_groups"]


def read_groups(path: str | Path) -> dict[str, str]:
    """Read a table of cases and groups.

    Args:
        path: CSV file with the columns ``case`` and ``patient`` (or ``group``), in any order.

    Returns:
        Case -> group.

    Raises:
        OSError: when the file cannot be read.
        ValueError: for other columns, an empty field, no line, or a case with two groups.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = [(name or "").strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            lines = [(reader.line_num, line) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as a CSV table ({error})") from error
    group = next((name for name in ("patient", "group") if name in columns), None)
    if group is None or "case" not in columns:
        raise ValueError(f"{path}: has the columns {', '.join(columns) or '(none)'}, expected case and patient")
    table: dict[str, str] = {}
    for number, line in lines:
        case, name = (line["case"] or "").strip(), (line[group] or "").strip()
        if not case or not name:
            raise ValueError(f"{path}, line {number}: the case or the {group} is empty, expected both")
        if table.setdefault(case, name) != name:
            raise ValueError(f"{path}, line {number}: the case {case} already belongs to {table[case]}; keep one line")
    if not table:
        raise ValueError(f"{path}: holds no cases")
    return table
