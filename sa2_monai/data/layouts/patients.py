# SPDX-License-Identifier: Apache-2.0
"""Which patient a case belongs to, so that splits divide patients and not cases."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.tables import read_table
from sa2_monai.io.problems import Problems

__all__ = ["PATIENT_TABLE", "add_patients"]

logger = logging.getLogger(__name__)

#: File of a data set that says whose the cases are, with the columns ``case`` and ``patient``.
PATIENT_TABLE = "patients.csv"


def add_patients(directory: Path, parts: Parts, pattern: str | None = None) -> None:
    """Give every case the entry ``group``, the patient, where anything says whose it is.

    The first that applies: ``group`` of ``dataset.json``, the pattern, the table ``patients.csv`` in the folder. Where
    ``dataset.json`` names the group of some cases only, the others are patients of their own.

    Args:
        directory: the data set's folder.
        parts: data lists by part, changed in place.
        pattern: regular expression that is searched in the case name; its first group (the whole match without one)
            is the patient.

    Raises:
        ValueError: not a regular expression, a table without the columns, or cases that no patient is found for.
    """
    cases = [(part, case) for part, members in parts.items() for case in members]
    if all("group" in case for _, case in cases):
        if pattern is not None and cases:
            logger.info("%s says itself whose the cases are; patient_pattern is not used", directory)
        return
    problems = Problems(str(directory))
    table = _patient_table(directory / PATIENT_TABLE) if pattern is None else None
    expression = None if pattern is None else _compiled(pattern)
    grouped = any("group" in case for _, case in cases)
    for part, case in cases:
        if "group" in case:
            continue
        if expression is not None:
            match = expression.search(str(case["case"]))
            if match is None or not (match[1] if expression.groups else match[0]):
                problems.add(
                    f"case names that patient_pattern {pattern!r} finds no patient in",
                    str(case["case"]),
                    "correct patient_pattern, or rename the files",
                )
                continue
            case["group"] = match[1] if expression.groups else match[0]
        elif table is not None:
            patient = _look_up(table, part, case)
            if patient is None:
                problems.add(
                    f"cases that are not in {PATIENT_TABLE}",
                    str(case["case"]),
                    "add a line with the case and its patient",
                )
                continue
            case["group"] = patient
        elif grouped:
            case["group"] = str(case["case"])
    problems.raise_if_any()


def _look_up(table: dict[str, str], part: str, case: Case) -> str | None:
    """Patient of a case; names that occur in several parts carry the part in front, the table has the file's."""
    name = str(case["case"])
    return table.get(name) or table.get(name.removeprefix(f"{part}_"))


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"patient_pattern is {pattern!r}, which is no regular expression ({error}); expected one such as "
            r"'(patient\d+)'"
        ) from error


def _patient_table(path: Path) -> dict[str, str] | None:
    if not path.is_file():
        return None
    rows = read_table(path)
    if not rows or not {"case", "patient"} <= set(rows[0]):
        found = ", ".join(rows[0]) if rows else "no lines"
        raise ValueError(f"{path}: expected a table with the columns case and patient, found {found}")
    table: dict[str, str] = {}
    for row in rows:
        if table.setdefault(row["case"], row["patient"]) != row["patient"]:
            raise ValueError(
                f"{path}: gives the case {row['case']} to two patients ({table[row['case']]} and {row['patient']}); "
                "keep one line"
            )
    return table
