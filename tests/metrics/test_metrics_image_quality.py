# SPDX-License-Identifier: Apache-2.0
"""Blur, contrast and noise of images that were made with known ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.measure import blur_effect

from sa2_monai import metrics


def texture(sigma: float = 3) -> np.ndarray:
    image = gaussian_filter(np.random.default_rng(0).random((120, 130)), sigma)
    return np.asarray((image - image.min()) / np.ptp(image))


@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.1])
def test_noise_of_a_known_strength(sigma: float) -> None:
    noisy = texture() + np.random.default_rng(1).normal(0, sigma, (120, 130))
    assert metrics.noise(noisy) == pytest.approx(sigma, rel=0.03)
    framed = np.pad(noisy, 60)  # more than half of it is blank
    assert metrics.noise(framed) == pytest.approx(sigma, rel=0.05)


def test_noise_is_not_what_edges_and_slopes_are() -> None:
    rows, columns = np.mgrid[:100, :100]
    assert metrics.noise(rows * 0.01 - columns * 0.003) < 1e-12
    assert metrics.noise(np.full((9, 9), 0.3)) == 0.0
    blocks = np.kron(np.random.default_rng(2).random((5, 5)), np.ones((20, 20)))
    noisy = blocks + np.random.default_rng(1).normal(0, 0.02, blocks.shape)
    assert metrics.noise(noisy) == pytest.approx(0.02, rel=0.05)
    stored = (noisy.clip(0, 1) * 255).round() / 255  # not in steps
    assert metrics.noise(stored) == pytest.approx(metrics.noise(noisy), rel=0.02)


def test_blur_grows_with_blurring_and_not_with_contrast() -> None:
    values = [metrics.blur(gaussian_filter(texture(), sigma)) for sigma in (0, 1, 2, 4)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.1
    assert metrics.blur(0.2 * texture()) == pytest.approx(metrics.blur(texture()), abs=1e-9)
    assert metrics.blur(texture()) == blur_effect(texture())


def test_blur_of_images_that_change_along_one_axis_or_none() -> None:
    stripes = np.tile(np.repeat([0.0, 1.0], 10), (40, 3))
    assert metrics.blur(stripes) == pytest.approx(metrics.blur(stripes.T))
    assert 0 < metrics.blur(stripes) < 0.5
    assert math.isnan(metrics.blur(np.full((20, 20), 0.4)))


def test_contrast_of_two_halves() -> None:
    image = np.zeros((10, 10))
    image[:5] = 0.6
    assert metrics.rms_contrast(image) == pytest.approx(0.3)
    assert metrics.rms_contrast(np.ones((4, 4))) == 0.0


@pytest.mark.parametrize("measure", [metrics.blur, metrics.noise, metrics.rms_contrast])
@pytest.mark.parametrize("shape", [(4, 4, 3), (2, 9), (9,)])
def test_what_is_no_grey_image(measure: object, shape: tuple[int, ...]) -> None:
    assert callable(measure)
    with pytest.raises(ValueError, match=r"image has shape .*, expected a grey image \(H, W\) of at least 3 pixels"):
        measure(np.zeros(shape))
