# SPDX-License-Identifier: Apache-2.0
"""Limits that a pipeline sets: what passes, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.scores.limits import check_limits, parse_limits


def result() -> Any:
    reference, prediction = np.zeros((2, 20, 20), np.uint8)
    reference[2:12, 2:12], prediction[2:12, 2:10] = 1, 1  # Dice 8/9, HD95 2
    reference[15, 15] = 2  # missed
    return evaluate({"a": prediction}, {"a": reference}, ["background", "x", "y"], empty="worst")


LIMITS = [
    ("dice=0.4", True, True),
    ("dice=0.5", True, False),
    ("dice:x=0.88", True, True),
    ("dice:x=0.89", True, False),
    ("nsd:y=0", True, True),
    ("hd95=2", False, True),
    ("hd95:x=1.9", False, False),
    ("hd95:y=100", False, False),  # there is no distance to a structure that was missed
    ("hd95_worst:y=29", False, True),
    ("hd95_worst:y=28", False, False),
]


@pytest.mark.parametrize(("text", "lowest", "passed"), LIMITS)
def test_limits(text: str, lowest: bool, passed: bool) -> None:
    found = check_limits(result().summary, parse_limits([text], lowest))
    assert [item["passed"] for item in found] == [passed]
    assert found[0]["limit"] == text.replace("=", " >= " if lowest else " <= ")


def test_several_limits_at_once() -> None:
    limits = parse_limits(["dice=0.1, nsd:x=0.5", "jaccard=0.2"], lowest=True)
    assert [str(limit) for limit in limits] == ["dice >= 0.1", "nsd:x >= 0.5", "jaccard >= 0.2"]


BAD_LIMITS = [
    ("dice", True, "expected METRIC=NUMBER or METRIC:CLASS=NUMBER"),
    ("dice=high", True, "expected METRIC=NUMBER"),
    ("dice=nan", True, "expected METRIC=NUMBER"),
    ("=1", True, "expected METRIC=NUMBER"),
    ("hd95=10", True, "hd95 is better when smaller; use --fail-over"),
    ("dice=0.9", False, "dice is better when larger; use --fail-under"),
    ("beauty=1", True, "unknown metric beauty, expected one of dice, jaccard"),
]


@pytest.mark.parametrize(("text", "lowest", "message"), BAD_LIMITS)
def test_limits_that_are_none(text: str, lowest: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_limits([text], lowest)


def test_limits_of_what_does_not_exist() -> None:
    summary = result().summary
    with pytest.raises(ValueError, match="there is no class 'z', expected one of x, y"):
        check_limits(summary, parse_limits(["dice:z=1"], lowest=True))
    with pytest.raises(ValueError, match="this evaluation has no panoptic_quality, only dice"):
        check_limits(summary, parse_limits(["panoptic_quality=1"], lowest=True))


def test_limits_of_pooled_paper_values() -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[2:9, 2:9] = 1
    pooled = evaluate({"a": mask}, {"a": mask}, ["b", "x"], "paper", family="pooled", paper={"grid": 16})
    assert check_limits(pooled.summary, parse_limits(["dice=0.9"], lowest=True))[0]["passed"]
