# SPDX-License-Identifier: Apache-2.0
"""Percentiles from blocks are those of NumPy on all values, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from sa2_monai.slices.percentiles import block_percentiles, order_statistics

RANDOM = np.random.default_rng(0)
TEST_CASES = {
    "normal": RANDOM.normal(0, 100, 30_011),
    "integers": RANDOM.integers(-1000, 2000, 30_000),
    "tiny": RANDOM.normal(0, 1e-38, 20_001),
    "two values": RANDOM.integers(0, 2, 20_000),
    "one": np.array([3.5]),
    "two": np.array([-1.0, 4.0]),
}


@pytest.mark.parametrize("name", TEST_CASES)
@pytest.mark.parametrize("percentiles", [(0.5, 99.5), (0.1, 99.9), (0, 100), (25, 75), (1.3, 50)])
def test_as_numpy(name: str, percentiles: tuple[float, float]) -> None:
    values = TEST_CASES[name].astype(np.float32)
    found = block_percentiles(lambda: np.array_split(values, 7), values.size, percentiles)
    assert found == [float(np.percentile(values, np.float64(q))) for q in percentiles]


def test_ranks() -> None:
    values = RANDOM.permutation(np.arange(-500, 500)).astype(np.float32).reshape(10, 100)
    assert order_statistics(lambda: iter(values), [0, 499, 500, 999]) == [-500, -1, 0, 499]
