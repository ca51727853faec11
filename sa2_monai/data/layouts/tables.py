# SPDX-License-Identifier: Apache-2.0
"""Tables (CSV) that come with a data set."""

from __future__ import annotations

import csv
from pathlib import Path

__all__ = ["read_table"]


def read_table(path: Path) -> list[dict[str, str]]:
    """Lines of a table with a line of names on top, in UTF-8.

    Args:
        path: an existing file.

    Returns:
        For each line its fields by the names of the columns, both without spaces around them. Fields beyond the last
        column are left out.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        return [
            {(name or "").strip(): (field or "").strip() for name, field in line.items() if isinstance(field, str)}
            for line in csv.DictReader(file)
        ]
