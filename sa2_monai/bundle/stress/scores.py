# SPDX-License-Identifier: Apache-2.0
"""From the tables of all conditions to means, losses with intervals, and the strength at which 5 points are lost."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.evaluation.result import CSV_NAME
from sa2_monai.evaluation.scores.statistics import Bootstrap, interval, nan_mean, none_if_nan
from sa2_monai.evaluation.scores.summary import matrix

__all__ = ["POINTS", "condition_scores", "loses_points_at", "read_rows"]

#: The loss of Dice that is looked for.
POINTS = 0.05
_VALUES = ("dice", "nsd", "hd95")


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Cases and classes of a condition, with ``case``, ``class_name``, ``status``, and Dice, NSD, HD95 as numbers.

    Args:
        folder: of its results.

    Raises:
        OSError: there are none.
    """
    with (folder / CSV_NAME).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [
        {
            **{name: row[name] for name in ("case", "class_name", "status")},
            **{name: float(row[name]) if row[name] else math.nan for name in _VALUES},
        }
        for row in rows
    ]


def condition_scores(
    rows: Sequence[Mapping[str, Any]], clean: Sequence[Mapping[str, Any]], groups: Mapping[str, str] | None
) -> dict[str, Any]:
    """Means of class means of a condition, and what is lost against the images as they are.

    Args:
        rows: of the condition.
        clean: of the images as they are; the same cases and classes.
        groups: case -> patient, drawn as a whole; ``None`` draws cases.

    Returns:
        ``dice`` with ``ci95_low`` and ``ci95_high``; ``loss`` (clean less corrupted, over the same draws of cases) with
        ``loss_ci95_low`` and ``loss_ci95_high``; ``nsd``; ``missed``: structures that were not found at all.
    """
    cases, names = sorted({row["case"] for row in clean}), list(dict.fromkeys(row["class_name"] for row in clean))
    bootstrap = Bootstrap(cases, groups)
    dice, before = (matrix(found, "dice", cases, names) for found in (rows, clean))
    low, high = bootstrap.class_mean_interval(dice)
    several = len(cases) > 1
    loss_low, loss_high = (
        interval(bootstrap.class_means(before) - bootstrap.class_means(dice)) if several else (None, None)
    )
    mean, mean_before = (float(nan_mean(nan_mean(values, axis=0))) for values in (dice, before))
    nsd = float(nan_mean(nan_mean(matrix(rows, "nsd", cases, names), axis=0)))
    return {
        "dice": none_if_nan(mean),
        "ci95_low": low,
        "ci95_high": high,
        "loss": none_if_nan(mean_before - mean),
        "loss_ci95_low": loss_low,
        "loss_ci95_high": loss_high,
        "nsd": none_if_nan(nsd),
        "missed": sum(row["status"] == "missed" for row in rows),
    }


def loses_points_at(means: Sequence[float | None], points: float = POINTS) -> float | None:
    """The strength at which a model has lost some Dice for the first time, linear between the strengths.

    Args:
        means: Dice of the images as they are, then at the strengths 1, 2, ...; ``None`` where there is none.
        points: the loss.

    Returns:
        Above 0 and up to the last strength; ``None`` when so much is not lost within them.
    """
    known = [(strength, mean) for strength, mean in enumerate(means) if mean is not None]
    if not known or known[0][0] != 0:
        return None
    limit = known[0][1] - points
    for (before, higher), (strength, mean) in itertools.pairwise(known):
        if mean <= limit:
            return before + (strength - before) * (higher - limit) / (higher - mean)
    return None
