# SPDX-License-Identifier: Apache-2.0
"""Corruptions of arrays: nothing happens at no strength, more at a higher one, the same with one seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.color import hed2rgb, rgb2hed

from sa2_monai.bundle.stress import functions
from sa2_monai.bundle.stress.corruptions import (
    CORRUPTIONS,
    STRENGTHS,
    check_corruptions,
    choose_corruptions,
    seed_of,
)
from sa2_monai.cli.stress import NAMES


def smooth(channels: int = 3, sigma: float = 3) -> np.ndarray:
    """Smooth colours in [0.1, 0.9], (C, 48, 60)."""
    image = gaussian_filter(np.random.default_rng(0).random((channels, 48, 60)), (0, sigma, sigma))
    return (0.1 + 0.8 * (image - image.min()) / np.ptp(image)).astype(np.float32)


def corruption(name: str) -> Callable[..., np.ndarray]:
    found = getattr(functions, name)
    assert callable(found)
    return found  # type: ignore[no-any-return]


#: Value of the parameter that changes nothing.
NOTHING = {"noise": 0, "exposure": 0, "gamma": 1, "stain": 0, "bias_field": 0, "resampling": 1}


def test_the_table_has_a_function_for_each_name() -> None:
    public = {name for name, _ in inspect.getmembers(functions, inspect.isfunction) if name in functions.__all__}
    assert set(CORRUPTIONS) == public == set(NAMES)
    for found in CORRUPTIONS.values():
        assert len(found.values) == len(STRENGTHS) == 5
        assert list(found.values) in (sorted(found.values), sorted(found.values, reverse=True))


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_happens_at_no_strength(name: str) -> None:
    np.testing.assert_allclose(corruption(name)(smooth(), NOTHING[name], 5), smooth(), atol=2e-6)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_more_happens_at_a_higher_strength(name: str) -> None:
    image = smooth(10 if name == "missing_slices" else 3)
    changes = []
    for value in CORRUPTIONS[name].values:
        done = corruption(name)(image.copy(), value, 5)
        assert (done.shape, done.dtype) == (image.shape, np.float32)
        np.testing.assert_array_equal(done, corruption(name)(image.copy(), value, 5))
        changes.append(float(np.abs(done - image).mean()))
    assert changes[0] > 0
    assert changes == sorted(changes)


@pytest.mark.parametrize("name", ["noise", "exposure", "gamma", "stain", "bias_field", "missing_slices"])
def test_other_cases_have_other_draws(name: str) -> None:
    image, value = smooth(10) if name == "missing_slices" else smooth(), CORRUPTIONS[name].values[2]
    assert len({corruption(name)(image.copy(), value, seed).tobytes() for seed in range(8)}) > 1


def test_noise_has_its_deviation_and_one_pattern() -> None:
    image = np.full((1, 200, 200), 0.5, np.float32)
    weak, strong = (corruption("noise")(image, value, 3) - image for value in (0.02, 0.1))
    assert weak.std() == pytest.approx(0.02, rel=0.02)
    np.testing.assert_allclose(strong, 5 * weak, atol=1e-5)


def test_blur_does_not_darken_the_border_or_mix_channels() -> None:
    image = np.zeros((2, 20, 20), np.float32)
    image[0] = 0.7
    np.testing.assert_allclose(corruption("blur")(image, 3, 0), image, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_jpeg_of_any_number_of_channels(channels: int) -> None:
    image = smooth(channels)
    done = corruption("jpeg")(image, 95, 0)
    assert done.shape == image.shape
    assert np.abs(done - image).max() < 0.06


def test_exposure_in_stops_loses_what_leaves_the_range() -> None:
    image = np.array([[[0.1, 0.4, 0.8]]], np.float32)
    done = [corruption("exposure")(image, 1, seed).astype(float).round(3) for seed in range(8)]
    found = {tuple(array.ravel().tolist()) for array in done}
    assert found == {(0.2, 0.8, 1.0), (0.05, 0.2, 0.4)}


def test_gamma_keeps_the_ends_of_the_range() -> None:
    image = np.linspace(-2, 6, 9, dtype=np.float32).reshape(1, 3, 3)
    for seed in range(4):
        done = corruption("gamma")(image, 2, seed)
        np.testing.assert_allclose((done.min(), done.max()), (-2, 6), atol=1e-4)
        up = ((image + 2) / 8) ** 0.5 * 8 - 2
        down = ((image + 2) / 8) ** 2 * 8 - 2
        assert min(np.abs(done - up).max(), np.abs(done - down).max()) < 1e-4


def test_stain_is_what_scikit_image_makes_of_its_amounts() -> None:
    """On colours that stains can make; others keep what a stain cannot explain."""
    amounts = np.random.default_rng(1).random((30, 40, 3)) * 0.2
    image = hed2rgb(amounts)
    signs = np.random.default_rng(7).choice([-1, 1], 3)
    expected = hed2rgb(rgb2hed(image) * (1 + 0.3 * signs))
    done = corruption("stain")(image.transpose(2, 0, 1).astype(np.float32), 0.3, 7)
    np.testing.assert_allclose(done.transpose(1, 2, 0), expected, atol=1e-5)


def test_bias_field_is_smooth_and_one_pattern() -> None:
    image = np.ones((8, 24, 24), np.float32)
    weak, strong = (np.log(corruption("bias_field")(image, value, 3)) for value in (0.1, 0.4))
    np.testing.assert_allclose(strong, 4 * weak, atol=1e-4)
    assert np.abs(np.diff(weak, axis=1)).max() < 0.2 < np.ptp(strong)


def test_missing_slices_are_their_nearest_neighbours_and_stay_missing() -> None:
    image = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    before: set[int] = set()
    for share in (0.1, 0.3, 0.5):
        done = corruption("missing_slices")(image, share, 4)[:, 0, 0]
        lost = set(np.flatnonzero(done != np.arange(10)).tolist())
        assert len(lost) == round(10 * share)
        assert before <= lost
        kept = [index for index in range(10) if index not in lost]
        assert all(abs(done[index] - index) == min(abs(k - index) for k in kept) for index in lost)
        before = lost
    np.testing.assert_array_equal(corruption("missing_slices")(image[:1], 0.5, 0), image[:1])


def test_seeds_are_those_of_any_machine() -> None:
    assert seed_of(0, "noise", "case 1") == 648288533
    assert len({seed_of(seed, name, case) for seed in (0, 1) for name in ("noise", "blur") for case in "ab"}) == 8


CHOICES = [
    ("images", 3, False, {"bias_field": "is for volumes", "missing_slices": "is for volumes"}),
    ("images", 1, False, {"stain": "is for colour images, these have 1 channel"}),
    ("images", 4, False, {"stain": "is for colour images, these have 4 channels"}),
    ("volumes", 1, False, {"jpeg": "is for images", "exposure": "is for images", "stain": "is for images"}),
    ("volumes", 1, True, {"bias_field": "is for intensities that are not negative, as those of MR"}),
]


@pytest.mark.parametrize(("kind", "channels", "negative", "expected"), CHOICES)
def test_what_is_left_out_and_why(kind: str, channels: int, negative: bool, expected: dict[str, str]) -> None:
    names, left_out = choose_corruptions(check_corruptions(None), kind, channels, negative)
    assert set(names) | set(left_out) == set(CORRUPTIONS)
    for name, reason in expected.items():
        assert left_out[name].startswith(reason)


def test_unknown_names() -> None:
    assert check_corruptions(["blur", "noise"]) == ["noise", "blur"]
    with pytest.raises(ValueError, match=r"corruptions names \['fog'\], expected some of noise, blur, jpeg"):
        check_corruptions(["fog"])
