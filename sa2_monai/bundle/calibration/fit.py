# SPDX-License-Identifier: Apache-2.0
"""One temperature from a plain random sample of the pixels of the validation part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sa2_monai.bundle.calibration.forecast import Forecaster
from sa2_monai.metrics.calibration import COLDEST, HOTTEST, fit_temperature, negative_log_likelihood

__all__ = ["PER_CASE", "SEED", "Fit", "fit_part"]

#: Pixels of a case, and of all together; more change nothing that could be seen.
PER_CASE, IN_ALL = 20_000, 1_000_000
SEED = 0
#: The fit is done once more until it changes the temperature by less than this share.
_ENOUGH, _MOST_ROUNDS = 0.01, 6


@dataclass(frozen=True)
class Fit:
    """What was found, and on what.

    Attributes:
        temperature: of the smallest negative log-likelihood.
        cases: of the validation part.
        pixels: that were looked at.
        rounds: predictions of the part that it took.
        nll_before: mean of ``-log p`` of the true class with the temperature 1.
        nll_after: the same with the one that was found.
        settled: whether the last round changed it by less than a hundredth.
    """

    temperature: float
    cases: int
    pixels: int
    rounds: int
    nll_before: float
    nll_after: float
    settled: bool

    @property
    def at_a_limit(self) -> bool:
        """Whether there is no best temperature between the limits."""
        return not COLDEST * 1.001 < self.temperature < HOTTEST / 1.001


def fit_part(forecaster: Forecaster, cases: Sequence[Mapping[str, Any]]) -> Fit:
    """Fit a temperature to the validation part.

    What counts are the probabilities on the pixels of the files. Where the network sees a slice in another size, these
    are interpolated, and their logarithms are not quite the logits; very sure networks reach the end of the single
    precision. So the part is predicted again with what was found, and the rest is fitted, until there is none.

    Args:
        forecaster: predicts.
        cases: data list; at most 20,000 pixels of each are drawn, the same ones in every round.

    Raises:
        ValueError: no pixel has a label.
    """
    temperature, before, after, pixels, rounds, settled = 1.0, 0.0, 0.0, 0, 0, False
    while rounds < _MOST_ROUNDS and not settled:
        logs, labels = _sample(forecaster, cases, temperature)
        pixels = len(labels)
        if not pixels:
            raise ValueError(f"no pixel of the {len(cases)} validation cases has a label; all hold ignore_value")
        rest = fit_temperature(logs, labels)
        after = negative_log_likelihood(logs, labels, rest)
        before = before if rounds else negative_log_likelihood(logs, labels)
        found = float(np.clip(temperature * rest, COLDEST, HOTTEST))
        settled = abs(found / temperature - 1) < _ENOUGH
        temperature, rounds = found, rounds + 1
    return Fit(temperature, len(cases), pixels, rounds, before, after, settled)


def _sample(
    forecaster: Forecaster, cases: Sequence[Mapping[str, Any]], temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities (N, K) and classes (N,) of the pixels; one case is in memory at a time."""
    most = min(PER_CASE, max(1, IN_ALL // len(cases)))
    logs, labels = [], []
    for index, listed in enumerate(cases):
        case = forecaster.load(listed)
        forecast = forecaster.forecast(case, temperature)
        count = case.label.size if case.known is None else int(case.known.sum())
        chosen = np.random.default_rng([SEED, index]).choice(count, min(most, count), replace=False)
        found, true = forecast.pixels(case, chosen)
        logs.append(np.log(found.clip(min=forecast.least)))
        labels.append(true)
    return np.concatenate(logs), np.concatenate(labels)
