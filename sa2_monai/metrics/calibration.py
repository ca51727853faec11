# SPDX-License-Identifier: Apache-2.0
"""Are probabilities what they say? Reliability by bins, expected calibration error, temperature scaling.

Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", ICML 2017, sections 2 and 4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

__all__ = ["BINS", "COLDEST", "HOTTEST", "Reliability", "fit_temperature", "negative_log_likelihood", "reliability"]
__all__ += ["scaled"]

#: Bins of equal width between 0 and 1, as many as in the publication.
BINS = 15
#: Temperatures that are looked at: beyond them a network is not miscalibrated but wrong.
COLDEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class Reliability:
    """Probabilities and what came true, summed up in bins of equal width; those of several cases are added.

    Attributes:
        count: (B,) probabilities in each bin.
        probability: (B,) sum of them.
        outcome: (B,) how many of them came true.
    """

    count: np.ndarray
    probability: np.ndarray
    outcome: np.ndarray

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(self.count + other.count, self.probability + other.probability, self.outcome + other.outcome)

    @property
    def ece(self) -> float:
        """Expected calibration error: mean distance of probability and frequency, by the count of the bins; in [0, 1].

        ``NaN`` without any probability.
        """
        total = int(self.count.sum())
        return float(np.abs(self.probability - self.outcome).sum() / total) if total else math.nan

    def rows(self) -> list[dict[str, float | int]]:
        """The bins that hold something: ``low``, ``high``, ``count``, mean ``probability``, ``frequency``."""
        edges = np.linspace(0, 1, len(self.count) + 1)
        return [
            {
                "low": float(edges[index]),
                "high": float(edges[index + 1]),
                "count": int(count),
                "probability": float(self.probability[index] / count),
                "frequency": float(self.outcome[index] / count),
            }
            for index, count in enumerate(self.count)
            if count
        ]


def reliability(probability: np.ndarray, outcome: np.ndarray, bins: int = BINS) -> Reliability:
    """Sum up probabilities and outcomes in bins.

    Args:
        probability: of any shape, in [0, 1]; the last bin has its upper limit, too.
        outcome: whether it came true, of the same shape.
        bins: their number.

    Raises:
        ValueError: for shapes that differ, or values outside [0, 1].
    """
    values, true = np.asarray(probability, dtype=np.float64).ravel(), np.asarray(outcome).ravel().astype(np.float64)
    if values.shape != true.shape:
        raise ValueError(f"probabilities and outcomes differ in shape: {np.shape(probability)}, {np.shape(outcome)}")
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"probabilities are outside [0, 1]: {values.min()} to {values.max()}")
    index = np.minimum((values * bins).astype(np.intp), bins - 1)
    return Reliability(
        np.bincount(index, minlength=bins),
        np.bincount(index, values, minlength=bins),
        np.bincount(index, true, minlength=bins),
    )


def scaled(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Log-probabilities after temperature scaling: ``log_softmax(logits / temperature)``.

    Args:
        log_probabilities: (N, K), which are logits up to a number for each row.
        temperature: above 1 the network becomes less sure, below 1 surer.
    """
    logits = log_probabilities / temperature
    normalised: np.ndarray = logits - logsumexp(logits, axis=1, keepdims=True)
    return normalised


def negative_log_likelihood(log_probabilities: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean of ``-log p`` of the true class.

    Args:
        log_probabilities: (N, K).
        labels: (N,) class numbers.
        temperature: see :func:`scaled`.
    """
    rows = np.arange(len(labels))
    return float(-scaled(log_probabilities, temperature)[rows, labels].mean())


def fit_temperature(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the smallest negative log-likelihood.

    That has one minimum, as it is convex in 1 / temperature. Where the probabilities know nothing, or are never wrong,
    there is none: the limits 0.05 and 20 are the answer then.

    Args:
        log_probabilities: (N, K) of N pixels.
        labels: (N,) their true classes.

    Raises:
        ValueError: without any pixel, or for values that are not finite.
    """
    if not len(labels):
        raise ValueError("no pixel to fit a temperature to")
    if not np.isfinite(log_probabilities).all():
        raise ValueError("log-probabilities are not finite; limit them before the fit")
    found = minimize_scalar(
        lambda inverse: negative_log_likelihood(log_probabilities, labels, 1 / inverse),
        bounds=(1 / HOTTEST, 1 / COLDEST),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(1 / found.x)
