# SPDX-License-Identifier: Apache-2.0
"""What the probabilities of the test part are worth: likelihood, reliability, and the uncertainty of its cases."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sa2_monai.bundle.calibration.forecast import Forecast, LabelledCase
from sa2_monai.evaluation.scores.statistics import nan_mean, none_if_nan
from sa2_monai.metrics.calibration import BINS, Reliability, reliability
from sa2_monai.metrics.overlap import confusion_matrix, counts_of_class, dice
from sa2_monai.metrics.risk_coverage import risk_coverage

__all__ = ["CaseScores", "part_scores", "score_case"]

#: A class is looked at where its probability is beyond the first bin, too; elsewhere a mean would count background.
_PROBABLE = 1 / BINS


@dataclass(frozen=True)
class CaseScores:
    """A case at one temperature.

    Attributes:
        pixels: with a label.
        likelihood: sum of ``-log p`` of the true class.
        top: probability of the predicted class, and whether it is the true one, over all pixels.
        classes: the same of each foreground class, where it is predicted or true or its probability is at least 1/15.
        dice: mean over the foreground classes that are in the case or in its label map; ``NaN`` where none is.
        entropy: score of the case.
        foreground: pixels of the predicted structures.
    """

    pixels: int
    likelihood: float
    top: Reliability
    classes: tuple[Reliability, ...]
    dice: float
    entropy: float
    foreground: int

    @property
    def nll(self) -> float:
        """Mean of ``-log p`` of the true class."""
        return self.likelihood / self.pixels if self.pixels else float("nan")


def score_case(case: LabelledCase, forecast: Forecast, classes: int) -> CaseScores:
    """Score a case.

    Args:
        case: with its labels.
        forecast: what the network says of it.
        classes: their number, background included.
    """
    pixels, likelihood, top = 0, 0.0, reliability(np.zeros(0), np.zeros(0))
    of_classes = [top] * (classes - 1)
    for probabilities, true in forecast.pieces(case):
        rows = np.arange(len(true))
        predicted = probabilities.argmax(axis=1)
        if len(forecast.probabilities) == 1:
            predicted = (probabilities[:, 1] >= 0.5).astype(predicted.dtype)  # as label maps are made
        pixels += len(true)
        likelihood += float(-np.log(probabilities[rows, true].clip(min=forecast.least)).sum())
        top = top + reliability(probabilities[rows, predicted].clip(0, 1), predicted == true)
        for index in range(1, classes):
            of_class = probabilities[:, index]
            near = (predicted == index) | (true == index) | (of_class >= _PROBABLE)
            found = reliability(of_class[near], true[near] == index)
            of_classes[index - 1] = of_classes[index - 1] + found
    known = np.ones(case.label.shape, dtype=bool) if case.known is None else case.known
    matrix = confusion_matrix(forecast.labels[known], case.label[known], classes)
    scores = np.array([dice(counts_of_class(matrix, index)) for index in range(1, classes)])
    return CaseScores(
        pixels, likelihood, top, tuple(of_classes), float(nan_mean(scores)), forecast.entropy, forecast.foreground
    )


def part_scores(cases: Sequence[CaseScores], class_names: Sequence[str]) -> dict[str, Any]:
    """The scores of all cases together, for ``calibration.json``.

    Args:
        cases: one entry each.
        class_names: background first.

    Returns:
        ``nll`` and ``ece`` over all pixels, ``reliability`` (bins), ``per_class`` (name -> ``ece``, ``pixels``,
        ``reliability``), ``risk_coverage`` of the entropy against 1 - Dice (``None`` where no case has a Dice).
    """
    top = functools.reduce(operator.add, (case.top for case in cases))
    per_class = {}
    for index, name in enumerate(class_names[1:]):
        found = functools.reduce(operator.add, (case.classes[index] for case in cases))
        per_class[name] = {
            "ece": none_if_nan(found.ece),
            "pixels": int(found.count.sum()),
            "reliability": found.rows(),
        }
    pixels = sum(case.pixels for case in cases)
    return {
        "nll": sum(case.likelihood for case in cases) / pixels if pixels else None,
        "ece": none_if_nan(top.ece),
        "reliability": top.rows(),
        "per_class": per_class,
        "risk_coverage": _risk_coverage([case for case in cases if np.isfinite(case.dice)]),
    }


def _risk_coverage(cases: Sequence[CaseScores]) -> dict[str, Any] | None:
    if not cases:
        return None
    found = risk_coverage(np.array([case.entropy for case in cases]), 1 - np.array([case.dice for case in cases]))
    best = np.sort([1 - case.dice for case in cases])
    return {
        "cases": len(cases),
        "area": found.area,
        "ideal": found.ideal,
        "chance": found.chance,
        "coverage": found.coverage.tolist(),
        "risk": found.risk.tolist(),
        "ideal_risk": (np.cumsum(best) / np.arange(1, len(best) + 1)).tolist(),
    }
