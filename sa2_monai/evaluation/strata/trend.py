# SPDX-License-Identifier: Apache-2.0
"""Does the score rise or fall with a property: rank correlation, with an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr

from sa2_monai.evaluation.scores.statistics import Bootstrap, interval

__all__ = ["trend"]

_FEWEST = 3  # pairs; two always lie on a line


def trend(values: np.ndarray, scores: np.ndarray, bootstrap: Bootstrap) -> dict[str, Any]:
    """Spearman's rank correlation of a property and a score over the cases.

    Args:
        values: of the property, one per case, ``NaN`` where it is undefined.
        scores: the same for the score.
        bootstrap: draws over these cases; groups are drawn as a whole.

    Returns:
        ``n`` (pairs), ``spearman`` in [-1, 1], ``ci95_low`` and ``ci95_high`` (percentiles of the draws), ``p_value``
        (two-sided, t distribution). The p value takes cases as independent: it is ``None`` with groups. All are
        ``None`` below three pairs, or where either does not vary.
    """
    valid = ~np.isnan(values) & ~np.isnan(scores)
    n = int(valid.sum())
    found = {"n": n, "spearman": None, "ci95_low": None, "ci95_high": None, "p_value": None}
    if n < _FEWEST or np.ptp(values[valid]) == 0 or np.ptp(scores[valid]) == 0:
        return found
    rho, p = spearmanr(values[valid], scores[valid])
    members = [np.flatnonzero((bootstrap.member == unit) & valid) for unit in range(bootstrap.units)]
    drawn = (np.concatenate([members[unit] for unit in draw]) for draw in bootstrap.index)
    low, high = interval(np.array([_correlation(values[cases], scores[cases]) for cases in drawn]))
    independent = bootstrap.units == len(values)
    return {
        **found,
        "spearman": float(rho),
        "ci95_low": low,
        "ci95_high": high,
        "p_value": float(p) if independent else None,
    }


def _correlation(values: np.ndarray, scores: np.ndarray) -> float:
    """``NaN`` for a draw in which one of both does not vary."""
    if len(values) < _FEWEST:
        return np.nan
    first, second = rankdata(values) - (len(values) + 1) / 2, rankdata(scores) - (len(scores) + 1) / 2
    length = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / length) if length else np.nan
