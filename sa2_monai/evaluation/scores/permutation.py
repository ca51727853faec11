# SPDX-License-Identifier: Apache-2.0
"""Paired permutation test of two models on the same cases."""

from __future__ import annotations

import itertools

import numpy as np

from sa2_monai.evaluation.scores.statistics import nan_mean

__all__ = ["PermutationTest"]

_CHUNK = 2048  # exchanges that are computed together


class PermutationTest:
    """Exchanges the two models' results of a case, or of a group as a whole; without an effect all exchanges are alike.

    Args:
        member: index of the unit (case or group) that each case belongs to.
        units: number of units.
        samples: random exchanges; when all ``2^units`` are not more than that, every one is computed and the test is
            exact.
        seed: of ``numpy.random.RandomState``.

    Attributes:
        exact: whether all exchanges are computed.

    Raises:
        ValueError: when there are no samples.
    """

    def __init__(self, member: np.ndarray, units: int, samples: int = 10_000, seed: int = 0) -> None:
        if samples < 1:
            raise ValueError(f"permutation_samples is {samples}, expected at least 1")
        self.member, self.units = member, units
        self.exact = units <= 30 and 2**units <= samples
        if self.exact:
            self.exchanges = np.array(list(itertools.product((0, 1), repeat=units)), dtype=np.float64)
        else:
            self.exchanges = np.random.RandomState(seed).randint(0, 2, (samples, units)).astype(np.float64)

    def p_value(self, a: np.ndarray, b: np.ndarray) -> float | None:
        """Two-sided p value of the difference of the means of class means.

        Args:
            a: values of the first model ``(cases, classes)``, or ``(cases,)`` for one class; ``NaN`` where undefined.
            b: the same for the second model.

        Returns:
            The share of exchanges with a difference at least as large as the observed one; for random exchanges the
            observed one counts as one of them. ``None`` where no difference exists.
        """
        a, b = (values[:, None] if values.ndim == 1 else values for values in (a, b))
        sums = [self._per_unit(np.nan_to_num(values)) for values in (a, b)]
        numbers = [self._per_unit((~np.isnan(values)).astype(float)) for values in (a, b)]
        observed = float(self._difference(np.zeros((1, self.units)), sums, numbers)[0])
        if np.isnan(observed):
            return None
        parts = range(0, len(self.exchanges), _CHUNK)
        found = np.concatenate([self._difference(self.exchanges[i : i + _CHUNK], sums, numbers) for i in parts])
        found = found[~np.isnan(found)]
        # equal but for rounding is equal
        extreme = int(np.count_nonzero(np.abs(found) >= abs(observed) * (1 - 1e-9) - 1e-12))
        return extreme / len(found) if self.exact else (extreme + 1) / (len(found) + 1)

    def _per_unit(self, values: np.ndarray) -> np.ndarray:
        columns = [np.bincount(self.member, weights=column, minlength=self.units) for column in values.T]
        return np.stack(columns, axis=1)

    @staticmethod
    def _difference(exchanges: np.ndarray, sums: list[np.ndarray], numbers: list[np.ndarray]) -> np.ndarray:
        """Difference of the means of class means for every exchange."""
        means = []
        for first, second in ((0, 1), (1, 0)):
            total = sums[first].sum(axis=0) + exchanges @ (sums[second] - sums[first])
            number = numbers[first].sum(axis=0) + exchanges @ (numbers[second] - numbers[first])
            with np.errstate(invalid="ignore", divide="ignore"):
                means.append(np.where(number > 0.5, total / number, np.nan))
        # a class that one model lacks altogether in an exchange is left out of both means
        lacking = np.isnan(means[0]) | np.isnan(means[1])
        a, b = (nan_mean(np.where(lacking, np.nan, mean), axis=1) for mean in means)
        return np.asarray(a - b)
