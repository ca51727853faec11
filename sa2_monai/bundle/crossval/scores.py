# SPDX-License-Identifier: Apache-2.0
"""Dice and IoU of the models of a cross-validation, as fractions of 1, and the table of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["SCORES", "crossval_table", "read_scores", "summarize"]

SCORES = ("dice", "iou")


def read_scores(folder: Path) -> dict[str, Any]:
    """Scores of an evaluation: means over classes of the means over cases, or the numbers of the paper.

    Args:
        folder: its output folder.

    Returns:
        ``dice`` and ``iou`` in [0, 1] (``None`` where undefined), and ``cases``, their number.
    """
    from sa2_monai.evaluation.result import JSON_NAME

    summary = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
    if "paper" in summary:
        values = summary["paper"]  # of volumes, no overlap but Dice is published
        dice, iou = values.get("dice"), values.get("iou", values.get("jaccard"))
    else:
        dice, iou = (summary["overall"][name]["mean_of_class_means"] for name in ("dice", "jaccard"))
    return {"dice": dice, "iou": iou, "cases": summary["cases"]}


def summarize(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the models of the folds, all scored on the same test cases.

    Args:
        folds: scores ``dice`` and ``iou`` of each model, in [0, 1] or ``None`` where undefined.

    Returns:
        For each score ``mean`` and ``std`` (``ddof=1``); ``None`` where a fold has none, or for the deviation of one.
    """
    summary: dict[str, Any] = {}
    for score in SCORES:
        values = [fold[score] for fold in folds]
        if not values or any(value is None for value in values):
            summary[score] = {"mean": None, "std": None}
            continue
        mean = math.fsum(values) / len(values)
        deviation = math.fsum((value - mean) ** 2 for value in values)
        std = math.sqrt(deviation / (len(values) - 1)) if len(values) > 1 else None
        summary[score] = {"mean": mean, "std": std}
    return summary


def crossval_table(state: Mapping[str, Any]) -> str:
    """Text table of the folds, their mean and standard deviation, the ensemble, and of all cases out of fold.

    Args:
        state: content of ``crossval.json``.
    """
    folds = sorted(state["folds"].items(), key=lambda item: int(item[0]))
    pooled, nothing = state["out_of_fold"], dict.fromkeys(SCORES)
    rows = [(f"fold {fold}", scores, own) for (fold, scores), own in zip(folds, pooled["folds"], strict=True)]
    if state["ensemble"] is not None:
        for name, label in (("mean", "mean"), ("std", "sd")):
            rows.append((label, {score: state["summary"][score][name] for score in SCORES}, nothing))
        rows.append(("ensemble", state["ensemble"], nothing))
    rows.append(("all cases", nothing, pooled))
    lines = [f"{'':10}{'test part':>16}{'out of fold':>16}", f"{'':10}" + f"{'Dice':>8}{'IoU':>8}" * 2]
    for name, *both in rows:
        lines.append(f"{name:10}" + "".join(f"{_number(scores[score]):>8}" for scores in both for score in SCORES))
    for name, scores, _ in rows:
        if stopped := scores.get("stopped"):
            lines.append(
                f"{name} was stopped by --time at epoch {stopped['epochs']} of {stopped['max_epochs']}: not a result; "
                "--resume goes on."
            )
    low, high = pooled["dice_ci95"]
    interval = "" if low is None else f" (95 % interval {low:.4f} to {high:.4f}, drawn by {pooled['unit']})"
    lines.append(
        f"Out of fold: Dice {_number(pooled['dice'])}{interval}; each of {pooled['cases']} cases once, by the model "
        "that has not seen it."
    )
    lines += pooled["warnings"]
    if state["ensemble"] is None:
        return "\n".join([*lines, "There is no test part; protocol: clinical."])
    protocol = state["configuration"]["paper"]
    return "\n".join(
        [*lines, f"Test cases: {state['ensemble']['cases']}; protocol: {'paper' if protocol else 'clinical'}."]
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
