# SPDX-License-Identifier: Apache-2.0
"""Several models on the same cases: every one compared with every other, corrected for the number of comparisons."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.evaluation.comparison import compare
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.holm import holm

__all__ = ["compare_pairs"]


def compare_pairs(
    results: Mapping[str, EvaluationResult], metrics: Sequence[str], **options: Any
) -> list[dict[str, Any]]:
    """Compare all pairs of models.

    The family of Holm's correction are all pairs, for each metric, and for each metric of each class, by itself.

    Args:
        results: evaluations of the same cases by the name of the model.
        metrics: columns of the per-case table, see :func:`~sa2_monai.evaluation.compare`.
        options: of that function.

    Returns:
        For each pair ``model_a``, ``model_b`` and what that function returns, with ``p_holm`` beside every
        ``p_value``.

    Raises:
        ValueError: as that function.
    """
    pairs = [
        {"model_a": a, "model_b": b, **compare(results[a], results[b], metrics, **options)}
        for a, b in itertools.combinations(results, 2)
    ]
    for tests in zip(*(_tests(pair) for pair in pairs), strict=True):
        for test, adjusted in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
            test["p_holm"] = adjusted
    return pairs


def _tests(pair: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The blocks with a p value, in the same order for all pairs."""
    return [block for metrics in (pair["overall"], *pair["per_class"].values()) for block in metrics.values()]
