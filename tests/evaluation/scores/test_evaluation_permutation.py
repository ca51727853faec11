# SPDX-License-Identifier: Apache-2.0
"""The paired permutation test against SciPy's and against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test

from sa2_monai.evaluation import compare, evaluate
from sa2_monai.evaluation.scores.permutation import PermutationTest


def p_value(a: np.ndarray, b: np.ndarray, groups: list[int] | None = None, **options: int) -> tuple[float | None, bool]:
    member = np.arange(len(a)) if groups is None else np.array(groups)
    test = PermutationTest(member, int(member.max()) + 1, **options)
    return test.p_value(np.asarray(a, float), np.asarray(b, float)), test.exact


def by_scipy(a: np.ndarray, b: np.ndarray) -> float:
    def statistic(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return np.abs(np.mean(x - y, axis=axis))

    found = permutation_test(
        (a, b), statistic, permutation_type="samples", n_resamples=np.inf, alternative="greater", vectorized=True
    )
    return float(found.pvalue)


@pytest.mark.parametrize("seed", range(4))
def test_exact_for_few_cases(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.random(9)
    b = a - rng.normal(0.1, 0.15, 9)
    found, exact = p_value(a, b)
    assert exact
    assert found == pytest.approx(by_scipy(a, b), abs=1e-12)


def test_all_differences_on_one_side() -> None:
    a = np.array([0.9, 0.8, 0.7, 0.95, 0.85])
    assert p_value(a, a - [0.1, 0.2, 0.1, 0.3, 0.05])[0] == pytest.approx(2 / 2**5)
    assert p_value(a, a)[0] == 1.0


def test_random_exchanges_for_many_cases_come_near_the_exact_value() -> None:
    rng = np.random.default_rng(1)
    a = rng.random(12)
    b = a - rng.normal(0.03, 0.05, 12)
    exact = p_value(a, b)[0]
    found, is_exact = p_value(a, b, samples=4000, seed=3)
    assert not is_exact
    assert exact is not None
    assert found == pytest.approx(exact, abs=0.02)
    assert found == p_value(a, b, samples=4000, seed=3)[0]
    # never zero: the observed order is one of the exchanges
    assert p_value(a, a - 1, samples=1000)[0] == pytest.approx(1 / 1001, abs=2 / 1001)


def test_groups_are_exchanged_as_a_whole() -> None:
    a = np.array([0.9, 0.9, 0.9, 0.7, 0.7, 0.7])
    b = a - 0.1
    assert p_value(a, b)[0] == pytest.approx(2 / 2**6)
    assert p_value(a, b, groups=[0, 0, 0, 1, 1, 1])[0] == pytest.approx(2 / 2**2)


def test_undefined_values_stay_with_their_case() -> None:
    a = np.array([0.9, 0.8, np.nan, 0.6])
    b = np.array([0.8, 0.7, np.nan, 0.5])
    assert p_value(a, b)[0] == pytest.approx(p_value(a[[0, 1, 3]], b[[0, 1, 3]])[0])
    assert p_value(np.full(3, np.nan), np.ones(3))[0] is None
    # a false alarm of one model alone (0 against undefined) counts for it
    assert p_value(np.array([0.9, 0.0]), np.array([0.9, np.nan]))[0] == 1.0


def test_overall_is_the_mean_of_class_means() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 8, 3))
    assert p_value(a, b)[0] == pytest.approx(by_scipy(a.mean(axis=1), b.mean(axis=1)))


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="permutation_samples is 0"):
        p_value(np.ones(3), np.ones(3), samples=0)


def test_a_comparison_carries_the_test() -> None:
    reference, good, bad = np.zeros((3, 8, 20, 20), np.uint8)
    for index in range(8):
        reference[index, 3:15, 3:15], good[index, 3:15, 3:14], bad[index, 3:15, 3 : 8 + index % 3] = 1, 1, 1
    cases = [str(index) for index in range(8)]
    results = [
        evaluate(dict(zip(cases, p, strict=True)), dict(zip(cases, reference, strict=True)), ["background", "x"])
        for p in (good, bad)
    ]
    comparison = compare(*results)
    assert comparison["per_class"]["x"]["dice"]["p_value"] == pytest.approx(2 / 2**8)
    assert comparison["overall"]["dice"]["p_value"] == pytest.approx(2 / 2**8)
    assert comparison["test"] == {
        "name": "paired permutation test, two-sided",
        "unit": "case",
        "units": 8,
        "exact": True,
        "samples": 256,
        "seed": 0,
    }
    assert comparison["per_class"]["x"]["dice"]["ci95_low"] > 0
    grouped = compare(*results, groups={case: f"p{int(case) // 2}" for case in cases})
    assert grouped["test"]["unit"] == "group"
    assert grouped["overall"]["dice"]["p_value"] == pytest.approx(2 / 2**4)
    assert any(w.startswith("few_exchanges: 4 units have no p value below 0.125") for w in grouped["warnings"])
