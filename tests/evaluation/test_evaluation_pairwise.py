# SPDX-License-Identifier: Apache-2.0
"""All pairs of several models: the numbers of each pair, and the correction over the family."""

from __future__ import annotations

import numpy as np
import pytest

from sa2_monai.evaluation import EvaluationResult, compare, evaluate
from sa2_monai.evaluation.pairwise import compare_pairs
from sa2_monai.evaluation.scores.holm import holm

NAMES = ["background", "cell", "debris"]


@pytest.fixture(scope="module")
def results() -> dict[str, EvaluationResult]:
    """Three models on 12 images: the second is a little worse than the first, the third much."""
    references = {}
    for index in range(12):
        references[f"case{index:02d}"] = np.zeros((24, 24), np.uint8)
        references[f"case{index:02d}"][4:16, 4 : 12 + index % 4] = 1
        references[f"case{index:02d}"][18:23, 2:9] = 2
    found = {}
    for number, name in enumerate(("first", "second", "third")):
        shifts = {case: number * (1 + index % 2) for index, case in enumerate(references)}
        predictions = {case: np.roll(label, shifts[case], axis=0) for case, label in references.items()}
        found[name] = evaluate(predictions, references, NAMES, bootstrap_samples=100)
    return found


def test_every_pair_as_compared_alone_and_corrected_by_holm(results: dict[str, EvaluationResult]) -> None:
    pairs = compare_pairs(results, ("dice", "nsd"), bootstrap_samples=100)
    assert [(pair["model_a"], pair["model_b"]) for pair in pairs] == [
        ("first", "second"),
        ("first", "third"),
        ("second", "third"),
    ]
    for pair in pairs:
        alone = compare(results[pair["model_a"]], results[pair["model_b"]], ("dice", "nsd"), bootstrap_samples=100)
        assert {key: value for key, value in pair["overall"]["dice"].items() if key != "p_holm"} == alone["overall"][
            "dice"
        ]
    for of_pair in (
        lambda pair: pair["overall"]["dice"],
        lambda pair: pair["overall"]["nsd"],
        lambda pair: pair["per_class"]["cell"]["dice"],
    ):
        blocks = [of_pair(pair) for pair in pairs]
        assert [block["p_holm"] for block in blocks] == holm([block["p_value"] for block in blocks])
    assert pairs[0]["overall"]["dice"]["p_holm"] == pytest.approx(3 * 2 / 2**12)  # all 12 cases are worse, exactly


def test_one_model_has_no_pair(results: dict[str, EvaluationResult]) -> None:
    assert compare_pairs({"first": results["first"]}, ("dice",)) == []
