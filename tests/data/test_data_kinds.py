# SPDX-License-Identifier: Apache-2.0
"""Readers and data lists by the kind of files: images, volumes and archives come out in one form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from monai.data import ImageReader
from monai.transforms import LoadImaged
from PIL import Image

from sa2_monai.data import case_reader, input_kind, list_cases

RNG = np.random.RandomState(3)
RGB = RNG.randint(0, 256, (6, 9, 3)).astype(np.uint8)
SLICE = RNG.rand(6, 9).astype(np.float32)
SCAN = RNG.randint(-50, 50, (6, 9, 4)).astype(np.int16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One file of each kind."""
    Image.fromarray(RGB).save(tmp_path / "photo.png")
    Image.fromarray((RGB[:, :, 0] > 99).astype(np.uint8)).save(tmp_path / "mask.png")
    np.savez(tmp_path / "slice.npz", image=SLICE, label=(SLICE > 0.5).astype(np.uint8))
    nib.save(nib.Nifti1Image(SCAN, np.eye(4)), tmp_path / "scan.nii.gz")
    return tmp_path


def load(path: Path, reader: ImageReader) -> Any:
    return LoadImaged("x", reader=reader, ensure_channel_first=True, image_only=True)({"x": str(path)})["x"]


#: Kind, file, options, expected array.
TEST_CASES: list[tuple[str, str, dict[str, Any], np.ndarray]] = [
    ("images", "photo.png", {"channels": 3}, RGB.transpose(2, 0, 1) / np.float32(255)),
    ("images", "photo.png", {"channels": 3, "channel_order": "BGR"}, RGB.transpose(2, 0, 1)[::-1] / np.float32(255)),
    ("images", "photo.png", {"channels": 3, "as_volume": True}, RGB.transpose(2, 0, 1)[..., None] / np.float32(255)),
    ("images", "photo.png", {"channels": 3, "reverse_indexing": True}, RGB.transpose(2, 1, 0) / np.float32(255)),
    ("images", "mask.png", {"label": True}, (RGB[None, :, :, 0] > 99)),
    ("images", "mask.png", {"label": True, "as_volume": True}, (RGB[None, :, :, 0] > 99)[..., None]),
    ("preprocessed", "slice.npz", {}, SLICE[None]),
    ("preprocessed", "slice.npz", {"as_volume": True}, SLICE[None, ..., None]),
    ("preprocessed", "slice.npz", {"label": True, "as_volume": True}, (SLICE > 0.5)[None, ..., None]),
    ("volumes", "scan.nii.gz", {"as_volume": True}, SCAN[None]),
]


@pytest.mark.parametrize(("kind", "name", "options", "expected"), TEST_CASES)
def test_rows_and_columns_come_first(
    folder: Path, kind: str, name: str, options: dict[str, Any], expected: np.ndarray
) -> None:
    array = load(folder / name, case_reader(kind, **options))
    np.testing.assert_array_equal(array.numpy(), expected)
    assert array.meta["filename_or_obj"] == str(folder / name)
    if kind == "images":  # (W, H), as MONAI gives it for the file; MONAI Label restores the size by it
        assert list(array.meta["spatial_shape"]) == [9, 6]


def test_lists(folder: Path) -> None:
    assert [case["case"] for case in list_cases(folder, "images")] == ["mask", "photo"]
    channels = [str(folder / f"cell_000{k}.png") for k in range(2)]
    for path in channels:
        Image.fromarray(RGB).save(path)
    assert list_cases(channels, "images", in_channels=6) == [{"image": channels, "case": "cell"}]
    scan = [{"image": str(folder / "scan.nii.gz"), "case": "scan"}]
    assert list_cases(folder, "volumes") == scan
    assert list_cases(folder / "scan.nii.gz", "preprocessed") == scan
    assert list_cases([folder / "slice.npz"], "preprocessed") == [{"image": str(folder / "slice.npz"), "case": "slice"}]
    for mixed in (folder, [folder / "slice.npz", folder / "scan.nii.gz"]):
        with pytest.raises(ValueError, match=r"slice\.npz is a preprocessed file, .*scan\.nii\.gz is none"):
            list_cases(mixed, "preprocessed")


def test_preprocessed_inputs(tmp_path: Path) -> None:
    for name in ("train_npz/case0005_slice000.npz", "test_vol_h5/case0001.npy.h5", ".hidden/x.npz"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    cases = list_cases(tmp_path, "preprocessed")
    assert [case["case"] for case in cases] == ["case0001", "case0005_slice000"]
    assert input_kind(tmp_path, "preprocessed") == "preprocessed"
    assert input_kind(tmp_path, "volumes") == input_kind(tmp_path / "gone", "preprocessed") == "volumes"
    (tmp_path / "list.txt").write_text("test_vol_h5/case0001.npy.h5\n")
    assert list_cases(tmp_path / "list.txt", "preprocessed") == cases[:1]
    (tmp_path / "case0001.npz").write_bytes(b"")
    with pytest.raises(ValueError, match="files that would get one case name"):
        list_cases(tmp_path, "preprocessed")
    with pytest.raises(FileNotFoundError, match=r"no such file: .*gone\.npz"):
        list_cases([tmp_path / "gone.npz"], "preprocessed")
    with pytest.raises(ValueError, match="not a volume by its name or content"):
        list_cases(tmp_path / "case0001.npz", "volumes")


def test_other_kinds_are_refused(folder: Path) -> None:
    for make in (lambda: case_reader("scans"), lambda: list_cases(folder, "scans")):
        with pytest.raises(ValueError, match="kind is 'scans', expected one of 'images', 'volumes', 'preprocessed'"):
            make()
