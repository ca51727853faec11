# SPDX-License-Identifier: Apache-2.0
"""The parts of a prediction of slides: blocks, pixel size, tissue, intensities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from monai.data.utils import dense_patch_slices
from monai.inferers.utils import _get_scan_interval
from numpy.random import RandomState

from sa2_monai.bundle.slides.analysed import AnalysedImage
from sa2_monai.bundle.slides.blocks import block_spans
from sa2_monai.bundle.slides.intensities import intensity_step, scaling_of
from sa2_monai.bundle.slides.overview import read_overview
from sa2_monai.bundle.slides.tissue import find_tissue
from sa2_monai.data.samples.microscopy import paint
from sa2_monai.data.samples.slides import make_sample_slide
from sa2_monai.io.slides.slide import open_slide
from sa2_monai.slices import scale_intensity


def windows_of(length: int, window: int, overlap: float) -> list[int]:
    """Where MONAI puts windows along one axis."""
    interval = _get_scan_interval((length,), (window,), 1, (overlap,))
    return [one[0].start for one in dense_patch_slices((length,), (window,), interval)]


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("window", [16, 50])
@pytest.mark.parametrize("length", [16, 51, 200, 777])
@pytest.mark.parametrize("target", [10, 100, 10000])
def test_blocks_have_the_windows_of_the_whole(length: int, window: int, overlap: float, target: int) -> None:
    spans = block_spans(length, window, overlap, target)
    whole = windows_of(length, window, overlap)
    assert [spans[0].first, *(span.last for span in spans)] == [*(span.first for span in spans), length]
    for span in spans:
        own = [span.start + start for start in windows_of(span.stop - span.start, window, overlap)]
        for pixel in range(span.first, span.last):
            assert [start for start in own if start <= pixel < start + window] == [
                start for start in whole if start <= pixel < start + window
            ]


@pytest.fixture(scope="module")
def slide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 x 800 pixels at 0.5 µm with four levels, two islands of tissue on glass."""
    return make_sample_slide(tmp_path_factory.mktemp("slide") / "slide.tif", size=(600, 800), tile=64)


# Micrometres of the model, of the slide where they are given; level, its step, size of what is analysed.
GRIDS = [
    (None, None, 0, 1.0, (600, 800)),
    (0.5, None, 0, 1.0, (600, 800)),
    (0.51, None, 0, 1.0, (600, 800)),
    (1.0, None, 1, 1.0, (300, 400)),
    (1.5, None, 1, 1.5, (200, 267)),
    (3.9, None, 3, 1.0, (75, 100)),
    (0.25, None, 0, 0.5, (1200, 1600)),
    (1.0, 0.25, 2, 1.0, (150, 200)),
]


@pytest.mark.parametrize(("model", "given", "level", "step", "size"), GRIDS)
def test_level_by_pixel_size(
    model: float | None, given: float | None, level: int, step: float, size: tuple[int, int], slide_file: Path
) -> None:
    with open_slide(slide_file) as slide:
        image = AnalysedImage(slide, 3, wanted=model, mpp=given)
        assert (image.height, image.width) == size
        assert image.downsample == pytest.approx((2**level * step, 2**level * step))
        assert image.mpp == pytest.approx([(given or 0.5) * one for one in image.downsample])
        whole = image.read(0, 0, *size)
        assert whole.shape == (3, *size)
        part = image.read(20, 33, 41, 52)
        np.testing.assert_allclose(part, whole[:, 20:61, 33:85], atol=1e-6)
        assert (f"level {level} is used" in image.text) == (model is not None) or model is None
        assert ("is not known" in image.text) == (model is None)


def test_resampling_keeps_places(tmp_path: Path) -> None:
    """A ramp stays the same ramp over the slide."""
    ramp = np.tile(np.arange(240, dtype=np.uint8), (60, 1))
    tifffile.imwrite(tmp_path / "a.tif", ramp, tile=(16, 16), resolution=(20000, 20000), resolutionunit="CENTIMETER")
    with open_slide(tmp_path / "a.tif") as slide:
        image = AnalysedImage(slide, 1, wanted=1.5)
        row = image.read(10, 0, 1, image.width)[0, 0].numpy() * 255
    centres = (np.arange(80) + 0.5) * 3 - 0.5
    np.testing.assert_allclose(row[1:-1], centres[1:-1], atol=1e-3)


def test_overview_is_a_mean(slide_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_slide(slide_file) as slide:
        monkeypatch.setattr("sa2_monai.bundle.slides.overview._LONGEST", 300)
        found = read_overview(slide)
        level = slide.read(2, 0, 0, 150, 200).array / np.float32(255)
        np.testing.assert_allclose(found, level, atol=1e-6)
        monkeypatch.setattr("sa2_monai.bundle.slides.overview._LONGEST", 90)
        monkeypatch.setattr("sa2_monai.bundle.slides.overview._AT_ONCE", 2000)
        found = read_overview(slide)
        smallest = slide.read(3, 0, 0, 75, 100).array / np.float32(255)
    assert found.shape == (38, 50, 3)
    np.testing.assert_allclose(found[:37], smallest[:74].reshape(37, 2, 50, 2, 3).mean(axis=(1, 3)), atol=1e-6)


def test_tissue_of_a_stained_slide(slide_file: Path) -> None:
    with open_slide(slide_file) as slide:
        overview = read_overview(slide)
    tissue = find_tissue(overview)
    painted = (overview != np.float32(243 / 255)).any(axis=2)
    assert tissue.kind == "stained"
    assert tissue.mask[painted].mean() > 0.95
    assert tissue.share < 1.2 * painted.mean()
    assert tissue.touches(0.2, 0.2, 0.4, 0.4)
    assert not tissue.touches(0.0, 0.6, 0.1, 0.9)


@pytest.mark.parametrize("kind", ["he", "fluo"])
def test_tissue_everywhere(kind: str) -> None:
    """An image that is full of tissue is not cut into halves."""
    image = paint(kind, (300, 300), RandomState(3))[0].reshape(300, 300, -1) / 255.0
    tissue = find_tissue(image)
    assert tissue.kind == ("stained" if kind == "he" else "fluorescence")
    blocks = [tissue.touches(y, x, y + 0.25, x + 0.25) for y in (0, 0.25, 0.5, 0.75) for x in (0, 0.25, 0.5, 0.75)]
    assert all(blocks)


def test_no_tissue() -> None:
    """Glass with the noise of a camera; in fluorescence nothing would tell it from dim objects."""
    glass = np.clip(0.95 + np.random.default_rng(0).normal(0, 0.01, (200, 200, 3)), 0, 1)
    tissue = find_tissue(glass)
    assert tissue.kind == "stained"
    assert not tissue.mask.any()


# As a bundle scales a whole image: `intensity`, and the range.
SCALES = [
    ("percentiles", (0.0, 1.0)),
    ("minmax", (0.0, 1.0)),
    ("window", (0.2, 0.7)),
    ("range", (0.0, 1.0)),
    ("slice_maximum", (0.0, 1.0)),
]


@pytest.mark.parametrize(("intensity", "limits"), SCALES)
def test_intensities_are_those_of_the_whole(intensity: str, limits: tuple[float, float], slide_file: Path) -> None:
    step = scale_intensity("images", intensity, limits, (0.1, 99.9))
    with open_slide(slide_file) as slide:
        image = AnalysedImage(slide, 3)
        whole = image.read(0, 0, 600, 800)
        scale, text = scaling_of(intensity_step([step]), False, image, lambda *box: True)
        part = scale(whole[:, 100:200, 300:400])
    expected = step({"image": whole[..., None]})["image"][..., 0]
    np.testing.assert_allclose(part, expected[:, 100:200, 300:400], atol=1e-6)
    assert bool(text) == (intensity in ("percentiles", "minmax", "slice_maximum"))


def test_intensities_of_what_is_predicted(slide_file: Path) -> None:
    """Without tissue nothing is measured; of a part, that part."""
    step = intensity_step([scale_intensity("images", "minmax")])
    with open_slide(slide_file) as slide:
        image = AnalysedImage(slide, 3)
        scale, text = scaling_of(step, False, image, lambda top, left, height, width: top == 0 and left == 0)
        corner = image.read(0, 0, 256, 256)
    assert "from 1 of 1 squares" in text
    assert (float(scale(corner).min()), float(scale(corner).max())) == pytest.approx((0, 1))
    assert float(scale(torch.ones(3, 1, 1)).max()) == 1
