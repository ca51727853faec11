# SPDX-License-Identifier: Apache-2.0
"""What the values of label files mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sa2_monai.data.fingerprint.labels import class_map, look_at_labels, read_labels

TWO = ["background", "cell"]
THREE = ["background", "anterior", "posterior"]


def squares(*values: int, size: int = 64, side: int = 5) -> np.ndarray:
    """A label map with one square for each value."""
    label = np.zeros((size, size, 1), np.int32)
    for place, value in enumerate(values):
        row, column = 8 * (place // 8), 8 * (place % 8)
        label[row : row + side, column : column + side] = value
    return label


def blurred() -> np.ndarray:
    """A white square with grey borders of many values."""
    label = squares(255, side=20)
    label[20, :20, 0] = np.arange(40, 240, 10)
    return label


# label maps, lossy files, class names, table and ignored value that the data set gives -> names, table, ignored value
TEST_CASES: list[tuple[list[np.ndarray], bool, Any, Any, Any, Any]] = [
    ([squares(1), squares()], False, None, None, None, (["background", "foreground"], None, None)),
    ([squares(255)], False, TWO, None, None, (TWO, None, None)),
    ([squares(1, 2), squares(1)], False, THREE, None, None, (THREE, None, None)),
    (
        [squares(1, 3), squares(2)],
        False,
        None,
        None,
        None,
        (["background", "class 1", "class 2", "class 3"], None, None),
    ),
    # numbers of instances: others in each image, each of one piece, without a gap
    (
        [squares(*range(1, 8)), squares(*range(1, 21))],
        False,
        None,
        None,
        None,
        (["background", "foreground"], "nonzero", None),
    ),
    ([squares(*range(1, 8)), squares(*range(1, 21))], False, TWO, None, None, (TWO, "nonzero", None)),
    # as many in each image: classes
    (
        [squares(*range(1, 8)), squares(*range(1, 8))],
        *(False, None, None, None),
        (["background", *(f"class {i}" for i in range(1, 8))], None, None),
    ),
    ([squares(3, 128, 250)], True, None, None, None, (["background", "foreground"], "threshold", None)),
    ([blurred()], False, None, None, None, (["background", "foreground"], "threshold", None)),
    (
        [squares(128, 255)],
        False,
        None,
        None,
        None,
        (["background", "class 1", "class 2"], {0: 0, 128: 1, 255: 2}, None),
    ),
    ([squares(1, 2, 255)], False, THREE, None, None, (THREE, None, 255)),
    ([squares(1, -1)], False, None, None, None, (["background", "foreground"], None, -1)),
    ([squares(1, 255)], False, TWO, None, 255, (TWO, None, 255)),
    ([squares(10, 20)], False, THREE, {0: 0, 10: 1, 20: 2}, None, (THREE, {0: 0, 10: 1, 20: 2}, None)),
]


@pytest.mark.parametrize(("maps", "lossy", "names", "table", "ignored", "expected"), TEST_CASES)
def test_the_meaning_of_values(
    maps: list[np.ndarray], lossy: bool, names: Any, table: Any, ignored: Any, expected: Any
) -> None:
    labels = read_labels([look_at_labels(one, lossy) for one in maps], names, table, ignored)
    assert (list(labels.class_names), labels.label_values, labels.ignore_value) == expected
    assert labels.named is (names is not None)
    for one in maps:
        found = set(np.unique(class_map(one, labels)).tolist())
        assert found <= {*range(len(labels.class_names)), *([] if labels.ignore_value is None else [255])}


@pytest.mark.parametrize(
    ("maps", "names", "told"),
    [
        ([squares(5, 7)], THREE, "the labels hold 0, 5, 7, which can mean several things for the classes background, "),
        ([squares(*range(100, 120))], None, "the labels hold 0, 100, 101, 102 ... 119 (21 values), which can mean "),
        ([squares(-1)], None, "the labels hold -1, 0, which can mean several things; say so with label_values="),
    ],
)
def test_values_without_a_meaning_are_asked_for(maps: list[np.ndarray], names: Any, told: str) -> None:
    with pytest.raises(ValueError, match="label_values=nonzero") as error:
        read_labels([look_at_labels(one, False) for one in maps], names, None, None)
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


def test_a_class_map_keeps_pixels_without_a_label_apart() -> None:
    label = squares(1, 2, 255)
    labels = read_labels([look_at_labels(label, False)], THREE, None, None)
    classes = class_map(label, labels)
    assert classes.dtype == np.uint8
    assert np.array_equal(classes, label)
