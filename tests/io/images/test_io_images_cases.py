# SPDX-License-Identifier: Apache-2.0
"""The awkward files that are kept beside the real data: one right answer for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sa2_monai.data import image_size, load_datalist, read_image, read_label
from sa2_monai.data.examine import examine_dataset
from sa2_monai.evaluation import evaluate
from sa2_monai.slices import MapLabelsd

pytestmark = pytest.mark.realdata

SIZE = (90, 70)
TWO = ("background", "object")
IMAGES = {
    "grey_f16.tif": 1, "grey_u8_orientation6.tif": 1, "grey_u8_orientation6_lzw.tif": 1,
    "image_u16_white_is_zero.tif": 1,
    "rgb_f32_bigtiff.tif": 3, "rgb_u16_planar.tif": 3, "rgb_u16_tiled.tif": 3, "slide #3.png": 3,
    "three_channels_u16_interleaved.tif": 3, "two_channels_u8.tif": 2,
}  # fmt: skip
MASKS = ("mask_bool.tif", "mask_i64.tif", "mask_u16_three_equal_channels.tif", "mask_white_is_zero.tif")


@pytest.fixture
def images(real_data: Path) -> Path:
    folder = real_data.parent / "cases" / "images"
    if not folder.is_dir():
        pytest.skip(f"no awkward files: {folder} is not there")
    return folder


@pytest.mark.parametrize("name", IMAGES)
def test_images(images: Path, name: str) -> None:
    image = read_image(images / name)
    assert image.shape == (*SIZE, IMAGES[name])
    assert image_size(images / name) == SIZE
    # An object on ground: the mask parts the grey values.
    inside = read_label(images / "mask_reference.tif") > 0
    first = image[..., 0].astype(float)
    assert abs(first[inside].mean() - first[~inside].mean()) > 0.1 * (first.max() - first.min())


def test_one_image_in_every_form(images: Path) -> None:
    shown = [read_image(images / name) / 65535 for name in ("rgb_u16_planar.tif", "rgb_u16_tiled.tif")]
    shown += [read_image(images / "slide #3.png") / 255, read_image(images / "rgb_f32_bigtiff.tif")]
    shown.append(read_image(images / "three_channels_u16_interleaved.tif") / 65535)
    for other in shown[1:]:
        np.testing.assert_allclose(other, shown[0], atol=0.003)
    grey = [read_image(images / f"grey_u8_orientation6{end}.tif") / 255 for end in ("", "_lzw")]
    grey.append(read_image(images / "image_u16_white_is_zero.tif") / 65535)
    for other in grey[1:]:
        np.testing.assert_allclose(other, grey[0], atol=0.003)
    np.testing.assert_allclose(read_image(images / "grey_f16.tif"), grey[0], atol=0.003)


@pytest.mark.parametrize("name", MASKS)
def test_masks(images: Path, name: str) -> None:
    reference = read_label(images / "mask_reference.tif") > 0
    assert reference.shape == SIZE
    np.testing.assert_array_equal(read_label(images / name) > 0, reference)


@pytest.mark.parametrize(
    ("name", "words"),
    [("grey_i8.tif", "signed 8-bit integers"), ("imagej_stack_one_directory.tif", "has 3 planes or pages"),
     ("two_channels_u8.tif", "has 2 channels, expected 3")],
)  # fmt: skip
def test_refused_by_name(images: Path, name: str, words: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: {words}|{name}: holds {words}"):
        read_image(images / name, 3)


def test_a_value_that_nobody_explained(images: Path) -> None:
    path = images / "mask_0_1_255.png"
    reference = (read_label(images / "mask_reference.tif") > 0).astype(np.uint8)
    with pytest.raises(ValueError, match="set ignore_value to 255"):
        evaluate({"a": reference}, {"a": path}, TWO)
    row = evaluate({"a": reference}, {"a": path}, TWO, ignore_value=255).per_case[0]
    assert row["voxels_ref"] == (read_label(path) == 1).sum()


def test_jpeg_masks(images: Path) -> None:
    reference = {"a": images / "mask_reference.tif"}
    for label_values in (None, "nonzero"):
        with pytest.raises(ValueError, match=r"mask\.jpg: .*set label_values to threshold"):
            evaluate(reference, {"a": images / "mask.jpg"}, TWO, label_values=label_values)
    assert evaluate(reference, {"a": images / "mask.jpg"}, TWO, label_values="threshold").per_case[0]["dice"] > 0.99
    assert evaluate({"a": images / "mask.jpg"}, reference, TWO, label_values="threshold").per_case[0]["dice"] > 0.99


def test_a_folder_of_jpeg_masks(images: Path) -> None:
    folder = images.parent / "folders" / "jpeg_masks"
    for label_values in (None, "nonzero"):
        (problem,) = examine_dataset("folder", folder, None, ("background", "x"), label_values)["problems"]
        assert "set label_values to threshold" in problem
    assert examine_dataset("folder", folder)["ok"]  # where nothing is said of classes, the files say it
    assert examine_dataset("folder", folder, label_values="threshold")["ok"]
    cases = load_datalist(folder, "training", label_values="threshold")
    mapped = MapLabelsd("label", 2, "threshold")({"label": read_label(cases[0]["label"])[None].astype(np.float32)})
    assert set(np.unique(mapped["label"])) == {0, 1}
