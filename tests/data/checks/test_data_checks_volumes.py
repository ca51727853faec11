# SPDX-License-Identifier: Apache-2.0
"""Checks of volumes and their labels: values, headers, grids; every problem in one error."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data.checks.label_counts import count_values
from tests.data.volume_lists import SHAPE, dataset, error_of, listed, load, volume, write_json


def test_label_values_are_checked(tmp_path: Path) -> None:
    dataset(tmp_path, ["a", "b"])
    volume(tmp_path / "labels/b.nii.gz", 7)
    write_json(tmp_path, test=listed(["a", "b"]), labels={"0": "background", "1": "organ"})
    text = error_of(tmp_path, "test")
    assert "label values outside the table {0: 0, 1: 1} (1)" in text
    assert "b.nii.gz: 7" in text
    assert len(load(tmp_path, "test", check_labels=False)) == 2
    assert len(load(tmp_path, "test", check=False)) == 2
    assert len(load(tmp_path, "test", label_values={0: 0, 1: 1, 7: 1})) == 2
    assert len(load(tmp_path, "test", label_values="nonzero")) == 2
    volume(tmp_path / "labels/b.nii.gz", 0.5, dtype=np.float32)
    assert "b.nii.gz: holds fractional values between 0 and 0.5" in error_of(tmp_path, "test")
    volume(tmp_path / "labels/b.nii.gz", -1, dtype=np.int16)
    assert "negative label values (1)" in error_of(tmp_path, "test", label_values="nonzero")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64, bool])
def test_values_are_counted(dtype: Any) -> None:
    label = np.random.RandomState(0).randint(0, 2 if dtype is bool else 9, (7, 8, 9)).astype(dtype)
    values, counts = np.unique(label, return_counts=True)
    assert count_values(np.asfortranarray(label)) == dict(zip(values.tolist(), counts.tolist(), strict=True))
    if dtype is np.int32:
        assert count_values(np.array([-5, 3, 3, 10**9], dtype)) == {-5: 1, 3: 2, 10**9: 1}
    if dtype is np.float32:
        assert count_values(np.array([0.5, 1, 1], dtype)) == {0.5: 1, 1.0: 2}


# --- checks of the headers ---


def test_all_problems_of_files_in_one_error(tmp_path: Path) -> None:
    names = ["shape", "moved", "two", "four", "cut", "gone", "zero", "flat", "good"]
    dataset(tmp_path, names)
    write_json(tmp_path, test=listed(names))
    volume(tmp_path / "labels/shape.nii.gz", np.zeros((6, 5, 3)))
    moved = np.diag([1.0, 2.0, 3.0, 1.0])
    moved[0, 3] = 0.5
    volume(tmp_path / "labels/moved.nii.gz", 1, moved)
    volume(tmp_path / "images/two.nii.gz", np.zeros((6, 5)))
    volume(tmp_path / "images/four.nii.gz", np.zeros((6, 5, 4, 2)))
    whole = (tmp_path / "labels/cut.nii.gz").read_bytes()
    (tmp_path / "labels/cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "images/gone.nii.gz").unlink()
    header = bytearray(gzip.decompress((tmp_path / "images/good.nii.gz").read_bytes()))
    code = bytes(header[254:256])  # of the sform, without which the spacing counts
    header[80:84], header[254:256] = bytes(4), bytes(2)  # pixdim[1]
    (tmp_path / "images/zero.nii.gz").write_bytes(gzip.compress(header))
    header[254:256] = code
    header[80:84] = header[84:88]
    header[296:312] = header[280:296]  # second row of the sform: that of the first
    (tmp_path / "images/flat.nii.gz").write_bytes(gzip.compress(header))
    text = error_of(tmp_path, "test")
    assert "labels of another shape than their image (1)" in text
    assert "shape.nii.gz: 6 x 5 x 3, " in text
    assert "labels that lie elsewhere than their image (1)" in text
    assert "moved.nii.gz: corners up to 0.5 mm (0.5 voxels) away from" in text
    assert "image files that cannot be used (5)" in text
    for name in ("two", "four", "gone", "zero", "flat"):
        assert f"images/{name}.nii.gz" in text
    assert "label files that cannot be used (1)" in text
    assert "good" not in text
    assert len(load(tmp_path, "test", check=False)) == len(names)


def test_rounding_of_affines_is_no_difference(tmp_path: Path) -> None:
    dataset(tmp_path, ["a"])
    write_json(tmp_path, test=listed(["a"]))
    for shift, fine in ((5e-4, True), (0.019, True), (0.021, False)):  # voxels of 2 mm
        affine = np.diag([1.0, 2.0, 3.0, 1.0])
        affine[1, 3] = shift
        volume(tmp_path / "labels/a.nii.gz", 1, affine)
        if fine:
            assert load(tmp_path, "test")
        else:
            assert "corners up to 0.021 mm (0.01 voxels) away" in error_of(tmp_path, "test")


def test_label_stored_in_another_order_of_axes_is_the_same_grid(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    angle = np.deg2rad(12)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine[:3, :3] *= [0.7, 0.8, 3.0]
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    image = nib.Nifti1Image(rng.rand(*SHAPE).astype(np.float32), affine)
    label = nib.Nifti1Image(np.ones(SHAPE, np.uint8), affine).as_reoriented(np.array([[2, 1], [0, -1], [1, -1]]))
    assert label.shape != image.shape
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    nib.save(image, tmp_path / "images/a.nii.gz")
    nib.save(label, tmp_path / "labels/a.nii.gz")
    write_json(tmp_path, test=listed(["a"]))
    assert load(tmp_path, "test")
    shifted = label.affine.copy()
    shifted[0, 3] += 1
    nib.save(nib.Nifti1Image(np.asarray(label.dataobj), shifted), tmp_path / "labels/a.nii.gz")
    assert "corners up to 1 mm (" in error_of(tmp_path, "test")
