# SPDX-License-Identifier: Apache-2.0
"""Cases with a low, middle and high value of a property, each third with its means and intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sa2_monai.evaluation.scores.rows import csv_table
from sa2_monai.evaluation.scores.statistics import Bootstrap, nan_mean
from sa2_monai.evaluation.scores.summary import matrix, summarize_stratum
from sa2_monai.evaluation.strata.properties import PROPERTIES, unit_of
from sa2_monai.evaluation.strata.trend import trend

__all__ = ["STRATA_NAME", "THIRDS", "strata_to_csv", "summarize_properties", "third_of"]

#: File of the values of every case.
STRATA_NAME = "strata_per_case.csv"
THIRDS = ("low", "middle", "high")


def third_of(value: float, limits: Sequence[float]) -> str:
    """The third that a value belongs to; equal values are in the same one.

    Args:
        value: of a case.
        limits: the largest value of the low and of the middle third.
    """
    return THIRDS[sum(value > limit for limit in limits)]


def summarize_properties(
    rows: Sequence[Mapping[str, Any]],
    properties: Mapping[str, Mapping[str, float | None]],
    names: Sequence[str],
    bootstrap_of: Callable[[Sequence[str]], Bootstrap],
    extra: Sequence[str] = (),
    *,
    dimensions: int,
    unit: str,
) -> dict[str, Any]:
    """Summarise the thirds of the cases by every property.

    Args:
        rows: one per case and class.
        properties: case -> property -> value.
        names: of the classes.
        bootstrap_of: makes the draws over given cases.
        extra: further metrics.
        dimensions: of the cases.
        unit: of their spacing.

    Returns:
        Property -> ``stratum``, ``title``, ``definition``, ``unit``, ``limits`` (terciles of the cases), ``thirds``
        (name -> ``from``, ``to`` and what :func:`summarize_stratum` has), ``undefined`` (cases without a value), and
        ``trend`` of the mean Dice of a case. A property that no case has is left out.
    """
    cases = sorted(properties)
    scores = nan_mean(matrix(rows, "dice", cases, names), axis=1)
    blocks: dict[str, Any] = {}
    for name in properties[cases[0]]:
        values = {case: value for case in cases if (value := properties[case][name]) is not None}
        if not values:
            continue
        limits = [float(limit) for limit in np.percentile(list(values.values()), [100 / 3, 200 / 3])]
        thirds = {
            third: [case for case, value in values.items() if third_of(value, limits) == third] for third in THIRDS
        }
        column = np.array([values.get(case, math.nan) for case in cases])
        blocks[name] = {
            **PROPERTIES[name]._asdict(),
            "unit": unit_of(name, dimensions, unit),
            "limits": limits,
            "thirds": {
                third: {
                    "from": min((values[case] for case in found), default=None),
                    "to": max((values[case] for case in found), default=None),
                    **summarize_stratum(rows, found, names, bootstrap_of, extra),
                }
                for third, found in thirds.items()
            },
            "undefined": [case for case in cases if case not in values],
            "trend": {"metric": "dice", **trend(column, scores, bootstrap_of(cases))},
        }
    return blocks


def strata_to_csv(properties: Mapping[str, Mapping[str, float | None]], blocks: Mapping[str, Any]) -> str:
    """CSV text, one line per case: every value and the third that it belongs to.

    Args:
        properties: case -> property -> value.
        blocks: what :func:`summarize_properties` returned.
    """
    lines = []
    for case, values in sorted(properties.items()):
        line: dict[str, Any] = {"case": case}
        for name, block in blocks.items():
            value = values[name]
            line[name] = math.nan if value is None else value
            line[f"{name}_third"] = "" if value is None else third_of(value, block["limits"])
        lines.append(line)
    return csv_table(list(lines[0]), lines)
