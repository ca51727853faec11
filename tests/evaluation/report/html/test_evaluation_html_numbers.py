# SPDX-License-Identifier: Apache-2.0
"""Numbers for people."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sa2_monai.evaluation.report.html.numbers import DASH, duration, interval, number, p_value, signed

MINUS = "\N{MINUS SIGN}"

TEST_CASES: list[tuple[Any, str]] = [
    (0.85312, "0.853"),
    (0.9, "0.900"),
    (0.99961, "1.00"),
    (0.0, "0.00"),
    (12.345, "12.3"),
    (123.45, "123"),
    (1234.5, "1230"),
    (0.00123456, "0.00123"),
    (0.0000123456, f"1.23e{MINUS}05"),
    (-0.25, f"{MINUS}0.250"),
    (math.nan, DASH),
    (None, DASH),
    (math.inf, "∞"),
    (17, "17"),
    (12345, "12345"),
    ("text", "text"),
]


@pytest.mark.parametrize(("value", "text"), TEST_CASES)
def test_three_digits(value: Any, text: str) -> None:
    assert number(value) == text


def test_differences_and_intervals() -> None:
    assert [signed(value) for value in (0.12345, -0.5, 0.0, None)] == ["+0.123", f"{MINUS}0.500", "0.00", DASH]
    assert interval(0.81234, 0.9) == f"0.812\xa0{DASH}\xa00.900"
    assert interval(-0.1, 0.2, sign=True) == f"{MINUS}0.100 to +0.200"
    assert interval(None, 0.9) == DASH
    assert [p_value(value) for value in (0.0001, 0.01234, None)] == ["<\xa00.001", "0.0123", DASH]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, DASH), (12.34, "12.3 s"), (60, "1 min"), (125.2, "2 min 5 s"), (3600, "1 h"), (11_520, "3 h 12 min")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds).replace("\xa0", " ") == text
