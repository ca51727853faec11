# SPDX-License-Identifier: Apache-2.0
"""The rules of the recommendation, as a table: which network, on which basis, in which words."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from sa2_monai.bundle.comparison.recommend import Candidate, recommend


class Case(NamedTuple):
    """Networks as (Dice, seconds, missed); pairs as (difference, low, high, p after Holm); what has to come out."""

    networks: dict[str, tuple[float, float | None, int]]
    pairs: dict[str, tuple[float, float | None, float | None, float | None]]
    choice: str | None
    basis: str
    said: tuple[str, ...]


TEST_CASES = {
    "shown to be better": Case(
        {"a": (0.85, 1.0, 0), "b": (0.80, 1.1, 0)},
        {"a-b": (0.05, 0.02, 0.08, 0.004)},
        *("a", "better"),
        (
            "Take a: its Dice, 85.0 points, is higher than that of every other network.",
            "a is better than b: by 5.0 points (95 % CI 2.0 to 8.0, p = 0.004 after Holm); they are about as fast.",
        ),
    ),
    "the pair may stand the other way round": Case(
        {"b": (0.80, 1.1, 0), "a": (0.85, 1.0, 0)},
        {"b-a": (-0.05, -0.08, -0.02, 0.0002)},
        *("a", "better"),
        ("a is better than b: by 5.0 points (95 % CI 2.0 to 8.0, p < 0.001 after Holm); they are about as fast.",),
    ),
    "as good and three times as fast": Case(
        {"a": (0.852, 3.0, 0), "b": (0.844, 1.0, 0)},
        {"a-b": (0.008, -0.011, 0.019, 0.4)},
        *("b", "faster"),
        (
            "Take b: its Dice is within 2 points of the highest one, that of a, and it is 3.0 times as fast.",
            "No difference can be shown between a and b (difference 0.8 points, 95 % CI \u22121.1 to 1.9, p = 0.400 "
            "after Holm); b is 3.0 times as fast.",
        ),
    ),
    "as good, but hardly faster": Case(
        {"a": (0.852, 1.2, 0), "b": (0.844, 1.0, 0)},
        {"a-b": (0.008, -0.011, 0.019, 0.4)},
        *("a", "equal"),
        ("Take a: it has the highest Dice. b is within 2 points of it.",),
    ),
    "neither shown nor ruled out: speed does not decide": Case(
        {"a": (0.85, 3.0, 0), "b": (0.81, 1.0, 0)},
        {"a-b": (0.04, -0.03, 0.11, 0.3)},
        *("a", "provisional"),
        (
            "Take a for now: it has the highest Dice, but the cases do not suffice to tell it from every other.",
            "No difference can be shown between a and b (difference 4.0 points, 95 % CI \u22123.0 to 11.0, p = 0.300 "
            "after Holm), but one of 11.0 points is not ruled out; b is 3.0 times as fast.",
        ),
    ),
    "a small loss that is shown is no equality": Case(
        {"a": (0.850, 9.0, 0), "b": (0.847, 1.0, 0)},
        {"a-b": (0.003, 0.001, 0.005, 0.01)},
        *("a", "better"),
        ("a is better than b: by 0.3 points (95 % CI 0.1 to 0.5, p = 0.010 after Holm); b is 9.0 times as fast.",),
    ),
    "the fastest of those that are as good; a worse one that is faster still is not taken": Case(
        {"a": (0.85, 4.0, 0), "b": (0.849, 2.0, 0), "c": (0.845, 1.0, 0), "d": (0.60, 0.1, 0)},
        {
            "a-b": (0.001, -0.01, 0.01, 1.0),
            "a-c": (0.005, -0.01, 0.015, 1.0),
            "a-d": (0.25, 0.2, 0.3, 0.0004),
        },
        *("c", "faster"),
        ("Take c: its Dice is within 2 points of the highest one, that of a, and it is 4.0 times as fast.",),
    ),
    "the best one is the fastest, too": Case(
        {"a": (0.85, 1.0, 0), "b": (0.845, 2.0, 0)},
        {"a-b": (0.005, -0.01, 0.015, 0.6)},
        *("a", "equal"),
        ("a is 2.0 times as fast.",),
    ),
    "misses more": Case(
        {"a": (0.85, 1.0, 7), "b": (0.80, 1.0, 2)},
        {"a-b": (0.05, 0.02, 0.08, 0.004)},
        *("a", "better"),
        ("Mind what is missed altogether: a misses 7 of 120 structures, b 2.",),
    ),
    "no times": Case(
        {"a": (0.85, None, 0), "b": (0.845, None, 0)},
        {"a-b": (0.005, -0.01, 0.015, 0.6)},
        *("a", "equal"),
        ("(difference 0.5 points, 95 % CI \u22121.0 to 1.5, p = 0.600 after Holm).",),
    ),
    "too few cases for an interval or a test": Case(
        {"a": (0.85, 1.0, 0), "b": (0.80, 1.0, 0)},
        {"a-b": (0.05, None, None, None)},
        *("a", "provisional"),
        ("No difference can be shown between a and b (difference 5.0 points, no interval); they are about as fast.",),
    ),
    "what has learned nothing is not taken, however fast": Case(
        {"a": (0.45, 3.0, 0), "unlearned": (0.46, 1.0, 0)},
        {"a-unlearned": (-0.01, -0.02, 0.01, 0.5)},
        *("a", "provisional"),
        ("Take a for now",),
    ),
    "nothing has learned": Case(
        {"unlearned": (0.1, 1.0, 0)}, {}, None, "none", ("no network is better than a constant prediction",)
    ),
    "only one": Case({"a": (0.85, 1.0, 0)}, {}, "a", "single", ("Only a has scores (Dice 85.0 points)",)),
    "none": Case({}, {}, None, "none", ("No network has scores: nothing can be recommended.",)),
}


def pair(names: str, difference: float, low: float | None, high: float | None, p: float | None) -> dict[str, Any]:
    a, b = names.split("-")
    block = {"difference": difference, "ci95_low": low, "ci95_high": high, "p_holm": p}
    return {"model_a": a, "model_b": b, "overall": {"dice": block}}


@pytest.mark.parametrize("case", TEST_CASES.values(), ids=TEST_CASES)
def test_rules(case: Case) -> None:
    candidates = [
        Candidate(name, *values, structures=120, has_learned=name != "unlearned")
        for name, values in case.networks.items()
    ]
    found = recommend(candidates, [pair(names, *values) for names, values in case.pairs.items()])
    assert (found.choice, found.basis) == (case.choice, case.basis)
    text = "\n".join(found.sentences)
    for sentence in case.said:
        assert sentence in text
    assert len(found.sentences) == max(1, len(case.networks)) + ("Mind" in text)
