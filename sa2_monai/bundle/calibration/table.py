# SPDX-License-Identifier: Apache-2.0
"""A calibration as text for the screen, and the values of every case as CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sa2_monai.bundle.calibration.scores import CaseScores
from sa2_monai.evaluation.scores.rows import csv_table

__all__ = ["COLUMNS", "calibration_csv", "calibration_table"]

_TWICE = ("dice", "entropy", "nll", "ece", "foreground")
COLUMNS = ("case", "pixels", *(f"{name}_{when}" for name in _TWICE for when in ("before", "after")))


def calibration_csv(before: Mapping[str, CaseScores], after: Mapping[str, CaseScores]) -> str:
    """CSV text, one line per case of the test part.

    Args:
        before: case -> scores with the temperature 1.
        after: the same with the one that was found.
    """
    return csv_table(COLUMNS, [_row(case, before[case], after[case]) for case in before])


def _row(case: str, before: CaseScores, after: CaseScores) -> dict[str, Any]:
    row: dict[str, Any] = {"case": case, "pixels": before.pixels}
    for when, scores in (("before", before), ("after", after)):
        values = (scores.dice, scores.entropy, scores.nll, scores.top.ece, scores.foreground)
        row.update({f"{name}_{when}": value for name, value in zip(_TWICE, values, strict=True)})
    return row


def calibration_table(document: Mapping[str, Any]) -> str:
    """The temperature, and what it changes on the test part.

    Args:
        document: content of ``calibration.json``.
    """
    before, after, fit = document["test"]["before"], document["test"]["after"], document["fit"]
    rows = [("negative log-likelihood", before["nll"], after["nll"]), ("ECE, all pixels", before["ece"], after["ece"])]
    rows += [
        (f"ECE, {name}", found["ece"], after["per_class"][name]["ece"]) for name, found in before["per_class"].items()
    ]
    curves = before["risk_coverage"], after["risk_coverage"]
    if curves[0] and curves[1]:
        rows.append(("risk-coverage area", curves[0]["area"], curves[1]["area"]))
    width = max(len(name) for name, _, _ in rows)
    lines = [
        f"temperature {document['temperature']:g}, from {fit['pixels']} pixels of {fit['cases']} validation cases",
        "",
        f"{'test part, ' + str(document['cases']) + ' cases':{width}}  before   after",
        *(f"{name:{width}}  {_number(one)}  {_number(two)}" for name, one, two in rows),
    ]
    if curves[1]:
        lines.append(f"{'  ideal, chance':{width}}  {_number(curves[1]['ideal'])}  {_number(curves[1]['chance'])}")
    return "\n".join([*lines, *(f"  {warning}" for warning in document["warnings"])])


def _number(value: float | None) -> str:
    return f"{'-':>6}" if value is None or math.isnan(value) else f"{value:6.4f}"
