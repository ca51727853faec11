# SPDX-License-Identifier: Apache-2.0
"""The resize of references: every pixel as OpenCV 4.11 (and 5.0) gave it when these values were recorded."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from sa2_monai.evaluation.paper.published_mask import published_mask, resize_bilinear_8bit

# (rows, columns, largest value): start of the SHA-256 of cv2.resize(image, (224, 224)), pixels above 0
RECORDED = {
    (522, 775, 9): ("18ec11a181d06d16", 37317),
    (1000, 1000, 255): ("6dc616a46df2c48b", 46388),
    (433, 574, 1): ("02e838b429201f61", 9314),
    (100, 90, 255): ("6b47708fc68e09d8", 46100),
    (448, 448, 3): ("078b775f4813366a", 36579),
    (224, 224, 4): ("d88dbb448678f6ac", 20097),
    (37, 301, 200): ("3600e24bec9d6070", 46139),
    (1, 5, 255): ("a43e22e6d0d237f3", 39872),
}


@pytest.mark.parametrize("image", RECORDED)
def test_resize_equals_opencv(image: tuple[int, int, int]) -> None:
    height, width, top = image
    rng = np.random.default_rng(height * 10000 + width)
    array = rng.integers(0, top + 1, (height, width), dtype=np.uint8)
    array[rng.random((height, width)) < 0.5] = 0
    digest, foreground = RECORDED[image]
    resized = resize_bilinear_8bit(array, (224, 224))
    assert hashlib.sha256(resized.tobytes()).hexdigest()[:16] == digest
    mask = published_mask(array, (224, 224), "x")
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 1}
    assert mask.sum() == foreground


def test_small_images_equal_opencv_pixel_by_pixel() -> None:
    array = np.zeros((5, 7), np.uint8)
    array[1:3, 2:5], array[3, 5] = 3, 255
    assert resize_bilinear_8bit(array, (3, 4)).tolist() == [[0, 1, 1, 0], [0, 3, 3, 0], [0, 0, 0, 32]]
    assert resize_bilinear_8bit(array, (6, 9)).tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 2, 2, 2, 1, 0, 0],
        [0, 0, 1, 3, 3, 3, 1, 0, 0],
        [0, 0, 1, 2, 2, 2, 60, 71, 0],
        [0, 0, 0, 0, 0, 0, 106, 127, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]


def test_masks_of_255_grow_and_instance_numbers_hardly_do() -> None:
    array = np.zeros((300, 300), np.uint8)
    array[100:160, 80:200] = 1
    area = {value: int(published_mask(array * value, (224, 224), "x").sum()) for value in (1, 255)}
    true = 60 * 120 * (224 / 300) ** 2
    assert area[1] == pytest.approx(true, rel=0.03)
    assert area[255] > 1.02 * true


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.uint16), np.zeros((4, 4, 3), np.uint8)])
def test_resize_takes_8_bit_grey_alone(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        resize_bilinear_8bit(array, (2, 2))


def test_values_beyond_8_bits_are_refused_with_the_hint() -> None:
    with pytest.raises(ValueError, match=r"a\.png: holds values 0 to 300.*reference_foreground=255"):
        published_mask(np.array([[0, 300]]), (2, 2), "a.png")
    with pytest.raises(ValueError, match="works on images"):
        published_mask(np.zeros((2, 2, 2), int), (2, 2), "a")
