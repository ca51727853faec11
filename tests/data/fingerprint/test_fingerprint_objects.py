# SPDX-License-Identifier: Apache-2.0
"""Connected structures: number, area, thickness, contact."""

from __future__ import annotations

import numpy as np
import pytest

from sa2_monai.data.fingerprint.objects import is_one_piece, measure_objects, touching_share


def disk(radius: int) -> np.ndarray:
    rows, columns = np.ogrid[-radius - 4 : radius + 5, -radius - 4 : radius + 5]
    return np.asarray(rows**2 + columns**2 <= radius**2)


def strip(width: int, length: int = 200) -> np.ndarray:
    mask = np.zeros((width + 20, length + 20), bool)
    mask[10 : 10 + width, 10 : 10 + length] = True
    return mask


# mask -> thickness in pixels, within a sixth
TEST_CASES = [(strip(8), 8.0), (strip(20, 400), 20.0), (disk(30), 40.0), (disk(12), 16.0)]


@pytest.mark.parametrize(("mask", "thickness"), TEST_CASES)
def test_thickness(mask: np.ndarray, thickness: float) -> None:
    found = measure_objects(mask)
    assert found is not None
    assert found.areas.tolist() == [mask.sum()]
    assert found.thickness == pytest.approx(thickness, rel=1 / 6, abs=2)


def test_a_large_slice_is_thinned_out() -> None:
    mask = np.kron(disk(30), np.ones((40, 40), bool))
    found = measure_objects(mask)
    assert mask.size > 2**22
    assert found is not None
    assert found.areas[0] == pytest.approx(mask.sum(), rel=0.02)
    assert found.thickness == pytest.approx(40 * 40, rel=0.1)


def test_instances_have_borders_of_their_own() -> None:
    numbers = np.zeros((40, 80), np.int32)
    numbers[10:30, 10:30], numbers[10:30, 30:50] = 1, 2
    together, apart = measure_objects(numbers > 0), measure_objects(numbers > 0, numbers)
    assert together is not None
    assert apart is not None
    assert (together.areas.tolist(), apart.areas.tolist()) == ([800], [400, 400])
    assert apart.thickness < together.thickness


def test_contact() -> None:
    numbers = np.zeros((40, 80), np.int32)
    assert touching_share(numbers) == 0.0
    numbers[10:30, 10:30], numbers[10:30, 30:50], numbers[2:5, 70:75] = 1, 2, 3
    assert touching_share(numbers) == pytest.approx(2 / 3)
    assert not is_one_piece(numbers > 0)
    assert is_one_piece(numbers == 1)


def test_nothing_is_there() -> None:
    assert measure_objects(np.zeros((8, 8), bool)) is None
