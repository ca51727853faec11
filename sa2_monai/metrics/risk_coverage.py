# SPDX-License-Identifier: Apache-2.0
"""Does an uncertainty know where the model is wrong? Risk of the cases that it would keep.

Geifman and El-Yaniv: "Selective Classification for Deep Neural Networks", NeurIPS 2017; for segmentation as in Jungo et
al., "Pitfalls of Segmentation Uncertainty", with 1 - Dice of a case as its risk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["RiskCoverage", "risk_coverage"]


@dataclass(frozen=True)
class RiskCoverage:
    """Mean risk of the cases that are kept when the most uncertain ones are handed to people.

    Attributes:
        coverage: (N,) share of the cases that are kept, from 1/N to 1.
        risk: (N,) their mean risk.
        area: area under the curve, the mean of ``risk``: low is good.
        ideal: that of an uncertainty in the order of the risk itself.
        chance: that of an uncertainty that knows nothing: the mean risk of all cases.
    """

    coverage: np.ndarray
    risk: np.ndarray
    area: float
    ideal: float
    chance: float


def risk_coverage(uncertainty: np.ndarray, risk: np.ndarray) -> RiskCoverage:
    """The curve of risk and coverage.

    Cases of equal uncertainty cannot be told apart: each of them counts with their mean risk.

    Args:
        uncertainty: (N,) one number per case, large where the model is unsure.
        risk: (N,) what is lost in the case, such as 1 - Dice.

    Raises:
        ValueError: without a case, for shapes that differ, or for values that are not finite.
    """
    unsure, lost = np.asarray(uncertainty, dtype=np.float64), np.asarray(risk, dtype=np.float64)
    if unsure.shape != lost.shape or unsure.ndim != 1 or not len(unsure):
        raise ValueError(f"expected one uncertainty and one risk per case, got shapes {unsure.shape} and {lost.shape}")
    if not (np.isfinite(unsure).all() and np.isfinite(lost).all()):
        raise ValueError("uncertainties and risks must be finite; leave cases without a score out")
    _, group = np.unique(unsure, return_inverse=True)
    shared = (np.bincount(group, lost) / np.bincount(group))[group]
    count = np.arange(1, len(lost) + 1)
    curve = np.cumsum(shared[np.argsort(unsure, kind="stable")]) / count
    ideal = np.cumsum(np.sort(lost)) / count
    return RiskCoverage(count / len(lost), curve, float(curve.mean()), float(ideal.mean()), float(lost.mean()))
