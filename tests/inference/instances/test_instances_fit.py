# SPDX-License-Identifier: Apache-2.0
"""The choice of settings: found where it matters, left alone where nothing is gained."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.draw import disk

from sa2_monai.inference.instances import FitCase, SplitSettings, fit_settings


def image(seed: int, blur: float = 1.0, offset: float = 0.0) -> FitCase:
    """Discs at random places, many of which touch; ``offset`` moves all probabilities."""
    rng = np.random.default_rng(seed)
    numbers = np.zeros((64, 64), np.int32)
    for number, centre in enumerate(rng.uniform(6, 58, (14, 2)), start=1):
        rows, columns = disk(tuple(centre), 7, shape=numbers.shape)
        free = numbers[rows, columns] == 0
        numbers[rows[free], columns[free]] = number
    probability = gaussian_filter((numbers > 0).astype(np.float32), blur)
    return FitCase((probability * (1 - offset) + offset)[None], numbers)


def test_a_network_that_is_too_generous_gets_a_higher_threshold() -> None:
    cases = [lambda seed=seed: image(seed, offset=0.45) for seed in range(4)]
    choice = fit_settings(cases, criterion="aji")
    assert choice.settings.threshold > 0.5
    assert choice.score > choice.components
    assert (choice.images, choice.tried) == (4, 23)
    assert choice.objects == sum(len(np.unique(read().reference)) - 1 for read in cases)


def test_nothing_is_left_for_a_gain_that_may_be_chance() -> None:
    numbers = np.zeros((40, 40), np.int32)
    numbers[5:15, 5:15], numbers[25:35, 25:35] = 1, 2
    perfect = FitCase((numbers > 0).astype(np.float32)[None], numbers)
    choice = fit_settings([lambda: perfect, lambda: perfect])
    assert choice.settings == SplitSettings()
    assert choice.score == choice.components == 1


def test_the_middle_of_a_large_image_and_one_class_of_several() -> None:
    case = image(0)
    wide = np.zeros((600, 64), np.int32)
    wide[-64:] = case.reference  # outside of the middle 512 rows, but for some of them
    probability = gaussian_filter((wide > 0).astype(np.float32), 1)
    probabilities = np.stack([1 - probability, np.zeros_like(probability), probability])
    choice = fit_settings([lambda: FitCase(probabilities, wide)], index=2)
    assert 0 < choice.objects < case.reference.max()
    assert choice.score > 0.5


@pytest.mark.parametrize(("criterion", "message"), [("dice", "criterion is 'dice'"), ("pq", "none of the 1 images")])
def test_what_is_refused(criterion: str, message: str) -> None:
    empty = FitCase(np.zeros((1, 8, 8), np.float32), np.zeros((8, 8), np.int32))
    with pytest.raises(ValueError, match=message):
        fit_settings([lambda: empty], criterion=criterion)
