# SPDX-License-Identifier: Apache-2.0
"""Description of values per case and the bootstrap over cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["Bootstrap", "describe", "interval", "nan_mean", "none_if_nan"]


def nan_mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean of the values that are not ``NaN``; ``NaN`` (without a warning) where there are none."""
    valid = ~np.isnan(values)
    total = np.where(valid, values, 0.0).sum(axis=axis)
    number = valid.sum(axis=axis)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.true_divide(total, number))


def none_if_nan(value: float) -> float | None:
    """The number as strict JSON has it: ``None`` where it is undefined."""
    return None if math.isnan(value) else value


def interval(statistics: np.ndarray) -> tuple[float | None, float | None]:
    """2.5th and 97.5th percentile (linear interpolation) of the statistics that are not ``NaN``."""
    valid = statistics[~np.isnan(statistics)]
    if not len(valid):
        return None, None
    low, high = np.percentile(valid, [2.5, 97.5])
    return float(low), float(high)


def describe(values: np.ndarray) -> dict[str, float | int | None]:
    """Describe one metric of one class over cases.

    Args:
        values: one float per case, ``NaN`` where undefined.

    Returns:
        ``n``, ``n_valid``, ``mean``, ``std`` (``ddof=1``, ``None`` below two values), ``median``, ``p25``, ``p75``
        (linear interpolation), ``min``, ``max``; ``None`` where there is no value.
    """
    valid = values[~np.isnan(values)]
    result: dict[str, float | int | None] = {"n": len(values), "n_valid": len(valid)}
    if not len(valid):
        return {**result, **dict.fromkeys(("mean", "std", "median", "p25", "p75", "min", "max"))}
    p25, median, p75 = np.percentile(valid, [25, 50, 75])
    return {
        **result,
        "mean": float(valid.mean()),
        "std": float(valid.std(ddof=1)) if len(valid) > 1 else None,
        "median": float(median),
        "p25": float(p25),
        "p75": float(p75),
        "min": float(valid.min()),
        "max": float(valid.max()),
    }


class Bootstrap:
    """Draws of cases with replacement; the same draws serve all classes and metrics.

    Args:
        cases: names of the cases in the order of the values.
        groups: case -> group, e.g. the patient; a group is drawn as a whole and brings all its cases. ``None`` draws
            cases.
        samples: number of draws.
        seed: of ``numpy.random.RandomState``.

    Raises:
        ValueError: when there are no samples, or a case has no group.
    """

    def __init__(
        self, cases: Sequence[str], groups: Mapping[str, str] | None = None, samples: int = 2000, seed: int = 0
    ) -> None:
        if samples < 1:
            raise ValueError(f"bootstrap_samples is {samples}, expected at least 1")
        if groups is None:
            names = list(cases)
            self.member = np.arange(len(cases))
        else:
            without = [case for case in cases if case not in groups]
            if without:
                raise ValueError(f"groups names no group for the cases {', '.join(without[:10])}")
            names = sorted({str(groups[case]) for case in cases})
            position = {name: index for index, name in enumerate(names)}
            self.member = np.array([position[str(groups[case])] for case in cases], dtype=np.int64)
        self.units = len(names)
        # the legacy generator by definition of the protocol: its stream is frozen, so intervals stay comparable
        self.index = np.random.RandomState(seed).randint(0, self.units, (samples, self.units))

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean of the valid values in every draw, ``(samples,)``; ``NaN`` for a draw without any."""
        valid = ~np.isnan(values)
        totals = np.bincount(self.member, weights=np.where(valid, values, 0.0), minlength=self.units)
        numbers = np.bincount(self.member, weights=valid.astype(float), minlength=self.units)
        with np.errstate(invalid="ignore"):
            return np.asarray(totals[self.index].sum(axis=1) / numbers[self.index].sum(axis=1))

    def mean_interval(self, values: np.ndarray) -> tuple[float | None, float | None]:
        """95 % percentile interval of the mean; ``(None, None)`` below two valid cases."""
        if np.count_nonzero(~np.isnan(values)) < 2:
            return None, None
        return interval(self.means(values))

    def ratio_interval(self, numerators: np.ndarray, denominators: np.ndarray) -> tuple[float | None, float | None]:
        """95 % percentile interval of a ratio of sums over cases; ``(None, None)`` below two cases that have any part.

        Args:
            numerators: one per case.
            denominators: one per case; 0 where a case has no part.
        """
        if np.count_nonzero(denominators) < 2:
            return None, None
        above, below = (
            np.bincount(self.member, weights=values, minlength=self.units)[self.index].sum(axis=1)
            for values in (numerators, denominators)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return interval(np.where(below > 0, above / below, np.nan))

    def class_mean_interval(self, values: np.ndarray) -> tuple[float | None, float | None]:
        """Interval of the mean of class means for ``values (cases, classes)``."""
        if np.count_nonzero(~np.isnan(values).all(axis=1)) < 2:
            return None, None
        return interval(self.class_means(values))

    def class_means(self, values: np.ndarray) -> np.ndarray:
        """Mean of class means in every draw, ``(samples,)``, for ``values (cases, classes)``."""
        return nan_mean(np.stack([self.means(column) for column in values.T]), axis=0)
