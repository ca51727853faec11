# SPDX-License-Identifier: Apache-2.0
"""Calibration and the curve of risk and coverage, against constructed truth and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sa2_monai.metrics.calibration import fit_temperature, negative_log_likelihood, reliability, scaled
from sa2_monai.metrics.risk_coverage import risk_coverage

RANDOM = np.random.RandomState(0)


def test_bins_by_a_plain_loop() -> None:
    probability, outcome = RANDOM.rand(500), RANDOM.rand(500) < 0.4
    found = reliability(probability, outcome, bins=7)
    error = 0.0
    for index in range(7):
        inside = [k for k in range(500) if index / 7 <= probability[k] < (index + 1) / 7]
        assert found.count[index] == len(inside)
        mean = sum(probability[k] for k in inside) / len(inside)
        error += len(inside) / 500 * abs(mean - sum(outcome[k] for k in inside) / len(inside))
    assert found.ece == pytest.approx(error, abs=1e-12)
    assert [row["count"] for row in found.rows()] == found.count.tolist()


TEST_CASES_ECE = {
    "always right and sure": ([1.0, 1.0, 0.0], [1, 1, 0], 0.0),
    "always wrong and sure": ([1.0, 0.0], [0, 1], 1.0),
    "half and half": ([0.5] * 4, [0, 1, 0, 1], 0.0),
    "too sure": ([0.9] * 10, [1] * 6 + [0] * 4, 0.3),
    "nothing": ([], [], math.nan),
}


@pytest.mark.parametrize("case", TEST_CASES_ECE)
def test_known_errors(case: str) -> None:
    probability, outcome, expected = TEST_CASES_ECE[case]
    assert reliability(np.array(probability), np.array(outcome)).ece == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_cases_are_added() -> None:
    probability, outcome = RANDOM.rand(2, 60), RANDOM.rand(2, 60) < 0.5
    both = reliability(probability[0], outcome[0]) + reliability(probability[1], outcome[1])
    assert both.ece == pytest.approx(reliability(probability, outcome).ece, abs=1e-12)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_temperature_of_too_sure_logits_is_found(temperature: float, classes: int) -> None:
    logits = torch.from_numpy(np.random.RandomState(classes).randn(40_000, classes) * 2)
    labels = torch.multinomial(logits.softmax(1), 1, generator=torch.Generator().manual_seed(0))[:, 0].numpy()
    sure = (logits * temperature).log_softmax(1).numpy()
    found = fit_temperature(sure, labels)
    assert found == pytest.approx(temperature, rel=0.03)
    assert negative_log_likelihood(sure, labels, found) <= negative_log_likelihood(sure, labels, temperature)
    expected = torch.from_numpy(sure / found).log_softmax(1).numpy()
    np.testing.assert_allclose(scaled(sure, found), expected, atol=1e-12)


def test_no_end_without_a_minimum() -> None:
    assert fit_temperature(np.log([[0.2, 0.8]] * 4), np.ones(4, dtype=int)) == pytest.approx(0.05, rel=0.01)
    assert fit_temperature(np.log([[0.2, 0.8]] * 4), np.zeros(4, dtype=int)) == pytest.approx(20, rel=0.01)


def test_risk_by_a_plain_loop() -> None:
    uncertainty, risk = RANDOM.rand(30), RANDOM.rand(30)
    order = sorted(range(30), key=lambda k: uncertainty[k])
    found = risk_coverage(uncertainty, risk)
    curve = [sum(risk[k] for k in order[:n]) / n for n in range(1, 31)]
    np.testing.assert_allclose(found.risk, curve, atol=1e-12)
    np.testing.assert_allclose(found.coverage, [n / 30 for n in range(1, 31)])
    assert found.area == pytest.approx(sum(curve) / 30)
    assert found.ideal <= found.area
    assert found.chance == pytest.approx(risk.mean())


def test_equal_uncertainties_know_nothing() -> None:
    found = risk_coverage(np.zeros(5), np.array([0.0, 1.0, 0.2, 0.3, 0.5]))
    np.testing.assert_allclose(found.risk, 0.4)
    assert found.area == pytest.approx(found.chance)
    perfect = risk_coverage(np.array([0.1, 0.9, 0.2]), np.array([0.0, 1.0, 0.2]))
    assert perfect.area == pytest.approx(perfect.ideal)


TEST_CASES_REFUSED = {
    "shapes": (lambda: reliability(np.zeros(2), np.zeros(3)), "differ in shape"),
    "range": (lambda: reliability(np.array([1.5]), np.array([1])), r"outside \[0, 1\]"),
    "no pixel": (lambda: fit_temperature(np.zeros((0, 2)), np.zeros(0, dtype=int)), "no pixel"),
    "infinite": (lambda: fit_temperature(np.array([[-np.inf, 0.0]]), np.array([0])), "not finite"),
    "no case": (lambda: risk_coverage(np.zeros(0), np.zeros(0)), "one uncertainty and one risk"),
    "undefined": (lambda: risk_coverage(np.array([np.nan]), np.array([0.1])), "must be finite"),
}


@pytest.mark.parametrize("case", TEST_CASES_REFUSED)
def test_refused(case: str) -> None:
    call, words = TEST_CASES_REFUSED[case]
    with pytest.raises(ValueError, match=words):
        call()
