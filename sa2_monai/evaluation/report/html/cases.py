# SPDX-License-Identifier: Apache-2.0
"""The table of cases: one line each, the worst first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sa2_monai.evaluation.report.overlays import case_scores
from sa2_monai.evaluation.result import EvaluationResult

__all__ = ["CASES_LISTED", "FINDINGS", "CaseLine", "case_lines", "class_columns", "found_structures"]

#: Most lines of the table; the rest is in the CSV.
CASES_LISTED = 1000
#: State of a structure -> word for it.
FINDINGS = {"missed": "missed", "spurious": "false alarm"}
_COLUMNS = 4  # most classes that have one of their own


@dataclass(frozen=True)
class CaseLine:
    """One line.

    Attributes:
        case: its name.
        group: the patient, or ``None``.
        dice: mean over the classes, ``NaN`` where there is none.
        of_classes: Dice of every class; empty where the mean says all, or there are too many.
        other: Dice of the model that is compared with, or ``None``.
        nsd: mean over the classes.
        hd95: the largest of the classes.
        findings: what was missed and what is a false alarm, as ``(state, class)``.
    """

    case: str
    group: str | None
    dice: float
    of_classes: tuple[float, ...]
    other: float | None
    nsd: float
    hd95: float
    findings: tuple[tuple[str, str], ...]

    @property
    def difference(self) -> float:
        """Dice less that of the other model."""
        return math.nan if self.other is None else self.dice - self.other


def case_lines(result: EvaluationResult, second: EvaluationResult | None = None) -> list[CaseLine]:
    """The lines of all cases, the lowest Dice first, cases without one last.

    Args:
        result: an evaluation.
        second: the evaluation of the model that is compared with.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in result.per_case:
        rows.setdefault(row["case"], []).append(row)
    scores, others = case_scores(result), None if second is None else case_scores(second)
    names = class_columns(result)
    lines = [
        CaseLine(
            case,
            (result.groups or {}).get(case),
            scores[case],
            tuple(next((row["dice"] for row in found if row["class_name"] == name), math.nan) for name in names),
            None if others is None else others.get(case, math.nan),
            _mean([row["nsd"] for row in found]),
            max((row["hd95"] for row in found if not math.isnan(row["hd95"])), default=math.nan),
            tuple((row["status"], row["class_name"]) for row in found if row["status"] in FINDINGS),
        )
        for case, found in rows.items()
    ]
    return sorted(lines, key=lambda line: (math.isnan(line.dice), line.dice, line.case))


def class_columns(result: EvaluationResult) -> list[str]:
    """Names of the classes that have a column of their own."""
    names = list(result.summary["per_class"])
    return names if 1 < len(names) <= _COLUMNS else []


def found_structures(result: EvaluationResult) -> list[dict[str, Any]]:
    """Rows of missed structures and false alarms, the largest first: these matter most."""
    found = [row for row in result.per_case if row["status"] in FINDINGS]
    return sorted(found, key=lambda row: (row["status"], -max(row["voxels_ref"], row["voxels_pred"]), row["case"]))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
