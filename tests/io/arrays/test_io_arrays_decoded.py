# SPDX-License-Identifier: Apache-2.0
"""Files that several steps look into are decoded once."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sa2_monai.io.arrays.decoded import decoded, decoded_once
from sa2_monai.io.images import read as image_files
from sa2_monai.io.images.read import read_image, read_label
from sa2_monai.io.preprocessed import read_preprocessed
from sa2_monai.io.volumes import read as volume_files
from sa2_monai.io.volumes.read import load_volume

VALUES = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


class Counted:
    """A function that counts its calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.function(*args, **kwargs)


def as_png(path: Path) -> Path:
    Image.fromarray(VALUES[0].astype(np.uint8)).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def as_nifti(path: Path, slope: float = 1.0) -> Path:
    image = nib.Nifti1Image(VALUES, np.eye(4))
    image.header.set_slope_inter(slope, 0.0)
    data = image.to_bytes()
    file = path.with_suffix(".nii.gz")
    file.write_bytes(gzip.compress(data))
    return file


def test_images_and_labels_are_one_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, decode = as_png(tmp_path / "a"), Counted(image_files._decode)
    monkeypatch.setattr(image_files, "_decode", decode)
    plain = read_image(path, 3), read_label(path)
    assert decode.calls == 2
    with decoded_once():
        for _ in range(3):
            np.testing.assert_array_equal(read_image(path, 3), plain[0])
            np.testing.assert_array_equal(read_label(path), plain[1])
        assert decode.calls == 3
    read_image(path)
    assert decode.calls == 4  # nothing is kept behind the block


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_volumes(slope: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, decode = as_nifti(tmp_path / "a", slope), Counted(volume_files.nifti_voxels)
    monkeypatch.setattr(volume_files, "nifti_voxels", decode)
    plain = load_volume(path), load_volume(path, as_stored=True)
    decode.calls = 0
    with decoded_once():
        for _ in range(2):
            for one, as_stored in zip(plain, (False, True), strict=True):
                found = load_volume(path, as_stored=as_stored)
                np.testing.assert_array_equal(found.array, one.array)
                assert (found.array.dtype, found.array.strides) == (one.array.dtype, one.array.strides)
                assert found.scaling == one.scaling
        assert load_volume(path, flat=True).array.shape == VALUES.shape
    assert decode.calls == (1 if slope == 1.0 else 2)  # a slope makes other values


def test_preprocessed_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, image=VALUES[0].astype(np.float32), label=VALUES[0] % 2)
    with decoded_once():
        for _ in range(2):
            np.testing.assert_array_equal(read_preprocessed(path, "image"), VALUES[0])
            np.testing.assert_array_equal(read_preprocessed(path, "label"), VALUES[0] % 2)


def test_a_reader_may_change_what_it_got(tmp_path: Path) -> None:
    path = as_nifti(tmp_path / "a")
    with decoded_once():
        for _ in range(3):
            array = load_volume(path).array
            np.testing.assert_array_equal(array, VALUES)
            array[...] = 7


def test_a_file_that_changes_is_decoded_again(tmp_path: Path) -> None:
    path = as_png(tmp_path / "a")
    with decoded_once():
        read_label(path)
        Image.fromarray(VALUES[1].astype(np.uint8)).save(path)
        os.utime(path, ns=(1, 1))
        np.testing.assert_array_equal(read_label(path), VALUES[1])


def test_an_error_is_raised_each_time(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(as_png(tmp_path / "b").read_bytes()[:-20])
    with decoded_once():
        for _ in range(2):
            with pytest.raises(ValueError, match=r"a\.png"):
                read_label(path)


def test_what_is_kept_has_a_limit(tmp_path: Path) -> None:
    files = [as_png(tmp_path / name) for name in "abc"]
    read = Counted(lambda: np.zeros(10, np.uint8))
    with decoded_once(most=25):
        for _ in range(2):
            for file in files:
                decoded([file], "zeros", read, lambda array: array.nbytes)
    assert read.calls == 2 + 2  # two are kept, the third one is read each time


def test_a_block_inside_of_another_one_ends_nothing(tmp_path: Path) -> None:
    path, read = as_png(tmp_path / "a"), Counted(lambda: np.zeros(3))
    with decoded_once():
        for _ in range(2):
            with decoded_once():
                decoded([path], "zeros", read, lambda array: array.nbytes)
        decoded([path], "zeros", read, lambda array: array.nbytes)
    assert read.calls == 1


def test_threads_get_the_same(tmp_path: Path) -> None:
    paths = [as_nifti(tmp_path / str(number)) for number in range(4)] * 4
    with decoded_once(), ThreadPoolExecutor(8) as pool:
        for volume in pool.map(load_volume, paths):
            np.testing.assert_array_equal(volume.array, VALUES)
