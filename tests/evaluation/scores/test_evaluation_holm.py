# SPDX-License-Identifier: Apache-2.0
"""Holm's correction against published and independently calculated values."""

from __future__ import annotations

import pytest

from sa2_monai.evaluation.scores.holm import holm

TEST_CASES = {
    # By hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which may not be smaller than the one before.
    "by hand": ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
    # The p values of Benjamini and Hochberg (1995), section 3.2, adjusted by statsmodels' multipletests(method="holm").
    "fifteen": (
        [
            *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
            *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
        ],
        [*(0.0015, 0.0056, 0.0247, 0.1140, 0.2211, 0.2780, 0.2780, 0.2780, 0.3213), *[1.0] * 6],
    ),
    "ties": ([0.01, 0.01, 0.2, 0.04], [0.04, 0.04, 0.2, 0.08]),
    "never above 1": ([0.6, 0.7], [1.0, 1.0]),
    "one": ([0.03], [0.03]),
    "nothing to test is no test": ([None, 0.02, None, 0.03], [None, 0.04, None, 0.04]),
    "none": ([], []),
}


@pytest.mark.parametrize(("values", "expected"), TEST_CASES.values(), ids=TEST_CASES)
def test_holm(values: list[float | None], expected: list[float | None]) -> None:
    adjusted = holm(values)
    assert [value is None for value in adjusted] == [value is None for value in expected]
    assert [v for v in adjusted if v is not None] == pytest.approx([v for v in expected if v is not None], abs=1e-12)
