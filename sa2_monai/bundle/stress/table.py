# SPDX-License-Identifier: Apache-2.0
"""A stress test as text for the screen, and all its values as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sa2_monai.bundle.stress.corruptions import CORRUPTIONS, STRENGTHS
from sa2_monai.evaluation.scores.rows import csv_table

__all__ = ["COLUMNS", "stress_csv", "stress_table"]

COLUMNS = ("corruption", "strength", "value", "case", "class_name", "status", "dice", "nsd", "hd95")


def stress_table(document: Mapping[str, Any]) -> str:
    """Dice by corruption and strength, and where 5 points are lost.

    Args:
        document: content of ``stress.json``.
    """
    width = max(len(found["title"]) for found in document["corruptions"].values())
    lines = [f"Dice of {document['cases']} cases, clean {_number(document['clean']['dice'])}; by strength:", ""]
    lines.append(f"{'':{width}}  {'  '.join(f'{strength:>6}' for strength in STRENGTHS)}  loses 5 points")
    for found in document["corruptions"].values():
        dice = "  ".join(_number(entry["dice"]) for entry in found["strengths"])
        lines.append(f"{found['title']:{width}}  {dice}  {loss_text(found['loses_5_points_at'])}")
    lines += [f"{CORRUPTIONS[name].title} {reason}: left out" for name, reason in document["left_out"].items()]
    return "\n".join([*lines, *(f"  {warning}" for warning in document["warnings"])])


def loss_text(strength: float | None) -> str:
    """Where 5 points are lost, in words."""
    return "not within 5 strengths" if strength is None else f"at strength {strength:.1f}"


def stress_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV text, one line per condition, case and class; the images as they are have strength 0 and no value.

    Args:
        rows: with :data:`COLUMNS`.
    """
    return csv_table(COLUMNS, rows)


def _number(value: float | None) -> str:
    return f"{'-':>6}" if value is None else f"{value:.4f}"
