# SPDX-License-Identifier: Apache-2.0
"""Mean and standard deviation over the models of a cross-validation, as the family ``image`` is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sa2_monai.evaluation.result import EvaluationResult

__all__ = ["summarize_folds"]


def summarize_folds(results: Sequence[EvaluationResult]) -> dict[str, Any]:
    """Summarise the test results of the models of all folds.

    Args:
        results: one result of ``protocol="paper", family="image"`` per model, on the same test images.

    Returns:
        For ``dice`` and ``iou``: ``values`` (one mean per model), ``mean``, ``std`` (``ddof=1``, ``None`` for one).

    Raises:
        ValueError: without results, or for results of another family or of different test images.
    """
    families = {r.summary["protocol"].get("family", r.summary["protocol"]["name"]) for r in results}
    if families != {"image"}:
        raise ValueError(f"expected results of the paper family 'image', got {sorted(families) or 'none'}")
    if len({tuple(result.cases) for result in results}) > 1:
        raise ValueError("the results of the folds have different test images")
    summary: dict[str, Any] = {"folds": len(results)}
    for metric in ("dice", "iou"):
        values = [float(result.summary["paper"][metric]) for result in results]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        summary[metric] = {"values": values, "mean": float(np.mean(values)), "std": std}
    return summary
