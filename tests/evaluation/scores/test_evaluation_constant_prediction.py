# SPDX-License-Identifier: Apache-2.0
"""The score of a prediction that says the same for every pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.scores.constant_prediction import constant_prediction_warnings, everything_marked_dice


def test_it_is_the_dice_of_an_evaluation() -> None:
    rng = np.random.default_rng(0)
    references = {str(index): (rng.random((9, 7 + index)) < 0.15 * index).astype(np.uint8) for index in range(6)}
    marked = {case: np.ones_like(reference) for case, reference in references.items()}
    result = evaluate(marked, references, ["background", "x"])
    found = everything_marked_dice([int(r.sum()) for r in references.values()], [r.size for r in references.values()])
    assert found == pytest.approx(result.headline)
    assert result.per_case[0]["status"] == "spurious"  # an image without the class: a false alarm, 0


def test_no_case_has_no_dice() -> None:
    assert math.isnan(everything_marked_dice([], []))


# Dice of the model, of everything marked, pixels predicted, what is said
TEST_CASES: list[tuple[float | None, float, int | None, str]] = [
    (0.85, 0.6, 100, ""),
    (0.605, 0.6, 100, "is not clearly better than that of marking every pixel ('everything foreground': 0.6)"),
    (0.3, 0.6, 100, "is not clearly better"),
    (0.3, 0.6, None, "is not clearly better"),
    (0.0, 0.001, 0, "mark no pixel as x, in no case: this is the score of 'everything background'"),
    (1.0, 1.0, 100, ""),
    (None, 0.6, 0, ""),
    (math.nan, 0.6, 0, ""),
]


@pytest.mark.parametrize(("dice", "constant", "predicted", "message"), TEST_CASES)
def test_warnings(dice: float | None, constant: float, predicted: int | None, message: str) -> None:
    pixels = None if predicted is None else {"x": predicted}
    warnings = constant_prediction_warnings({"x": dice}, {"x": constant}, pixels)
    assert len(warnings) == bool(message)
    assert all(message in warning for warning in warnings)


def test_an_evaluation_says_so() -> None:
    rng = np.random.default_rng(1)
    reference = rng.integers(0, 3, (30, 40), dtype=np.uint8)
    reference[:10] = 255
    options: dict[str, Any] = {"classes": ["background", "x", "y"], "ignore_value": 255}
    prediction = np.ones((30, 40), np.uint8)
    warnings = evaluate({"a": prediction}, {"a": reference}, **options).summary["warnings"]
    found = [text for text in warnings if text.startswith("constant_prediction")]
    share = (reference == 1).sum() / (20 * 40)  # ignored pixels are no part of it
    assert f"'everything foreground': {2 * share / (1 + share):.3g}" in found[0]
    assert found[1].startswith("constant_prediction: the predictions mark no pixel as y")
    right = np.where(reference == 255, 0, reference)
    assert not [t for t in evaluate({"a": right}, {"a": reference}, **options).summary["warnings"] if "constant" in t]
