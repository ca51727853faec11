# SPDX-License-Identifier: Apache-2.0
"""Corrupted files: type, range and grid of the original, in all channels, and nothing else is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sa2_monai.bundle.stress.corruptions import CORRUPTIONS, seed_of
from sa2_monai.bundle.stress.files import corrupt_cases, corrupt_image, corrupt_volume, look_at
from sa2_monai.bundle.stress.functions import missing_slices, noise
from sa2_monai.data import read_image
from sa2_monai.io.volumes.read import load_volume

RNG = np.random.default_rng(0)
IMAGES = [
    (RNG.random((12, 14, 3)) * 255).astype(np.uint8),
    (RNG.random((12, 14, 1)) * 65535).astype(np.uint16),
    RNG.random((12, 14, 4)).astype(np.float32),
]


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: f"{image.dtype} {image.shape}")
def test_an_image_that_is_left_as_it_is_comes_back_exactly(image: np.ndarray) -> None:
    seen = []
    done = corrupt_image(image, lambda array: seen.append(array) or array)  # type: ignore[func-returns-value]
    np.testing.assert_array_equal(done, image)
    assert done.dtype == image.dtype
    assert seen[0].shape == (image.shape[2], 12, 14)
    assert 0 <= seen[0].min() <= seen[0].max() <= 1
    bright = corrupt_image(image, lambda array: array + 2)
    assert (bright == (1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max)).all()


def write(folder: Path, name: str, array: np.ndarray, affine: np.ndarray) -> Path:
    path = folder / f"{name}.nii.gz"
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def test_a_volume_is_seen_by_its_slices_and_range(tmp_path: Path) -> None:
    array = (RNG.random((6, 9, 10)) * 1000 - 200).astype(np.int16)
    path = write(tmp_path, "v", array, np.diag([4, 1, 1, 1.0]))  # sagittal slices
    seen: list[np.ndarray] = []
    done = corrupt_volume(load_volume(path), lambda slices: seen.append(slices) or slices)  # type: ignore[func-returns-value]
    np.testing.assert_allclose(done, array, atol=0.01)
    assert seen[0].shape == (6, 9, 10)
    np.testing.assert_allclose(np.percentile(seen[0], [0.5, 99.5]), (0, 1), atol=1e-5)
    flat = corrupt_volume(load_volume(write(tmp_path, "w", np.full_like(array, 7), np.eye(4))), lambda slices: slices)
    np.testing.assert_array_equal(flat, np.full(array.shape, 7, np.float32))


def test_files_of_images(tmp_path: Path) -> None:
    cases: list[dict[str, Any]] = []
    for name in "ab":
        Image.fromarray(IMAGES[0]).save(tmp_path / f"{name}.png")
        cases.append({"case": name, "image": str(tmp_path / f"{name}.png"), "label": "x.png", "group": "p"})
    (tmp_path / "out").mkdir()
    done = corrupt_cases(cases, "images", "noise", 3, 0, tmp_path / "out")
    for case, new in zip(cases, done, strict=True):
        assert {**new, "image": case["image"]} == case
        draw = seed_of(0, "noise", case["case"])
        expected = corrupt_image(IMAGES[0], lambda array, draw=draw: noise(array, CORRUPTIONS["noise"].values[2], draw))  # type: ignore[misc]
        np.testing.assert_array_equal(read_image(new["image"]), expected)
    assert look_at(cases[0], "images") == (3, False)


def test_files_of_volumes_with_channels(tmp_path: Path) -> None:
    affine = np.array([[0, 0.5, 0, 3], [-0.5, 0, 0, -7], [0, 0, 3, 1], [0, 0, 0, 1.0]])
    arrays = [(RNG.random((8, 9, 10)) * 100 - shift).astype(np.float32) for shift in (0, 50)]
    paths = [str(write(tmp_path, f"c{index}", array, affine)) for index, array in enumerate(arrays)]
    case = {"case": "c", "image": paths, "label": "y.nii.gz"}
    (tmp_path / "out").mkdir()
    (done,) = corrupt_cases([case], "volumes", "missing_slices", 4, 1, tmp_path / "out")
    draw = seed_of(1, "missing_slices", "c")
    for index, path in enumerate(done["image"]):
        volume = load_volume(path)
        np.testing.assert_allclose(volume.header.affine, affine, atol=1e-6)
        slices = missing_slices(np.moveaxis(arrays[index], 2, 0), CORRUPTIONS["missing_slices"].values[3], draw + index)
        np.testing.assert_allclose(volume.array, np.moveaxis(slices, 0, 2), atol=1e-3)
    assert look_at(case, "volumes") == (2, True)
