# SPDX-License-Identifier: Apache-2.0
"""Class numbers, however a file stores them; label maps of every kind of file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sa2_monai.data import read_preprocessed, read_volume
from sa2_monai.io.label_maps import read_label_map
from sa2_monai.io.whole_numbers import whole_numbers
from tests.support.volume_files import AFFINE, patched, write_volume


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    values=st.lists(st.integers(-300, 70000), min_size=1, max_size=30),
    error=st.sampled_from([0.0, 1e-7, 9e-4, -9e-4, 2e-3, 0.4]),
    dtype=st.sampled_from([np.float32, np.float64]),
    order=st.sampled_from("CF"),
)
def test_within_a_thousandth(values: list[int], error: float, dtype: Any, order: Any) -> None:
    exact = np.array(values).reshape(1, -1, 1)
    array = np.asarray(exact + error, dtype=dtype, order=order)
    apart = np.abs(array.astype(np.float64) - exact).max()
    if apart > 1e-3:
        if abs(error) > 5e-3 or apart > 2e-2:
            with pytest.raises(ValueError, match="x: holds fractional values between"):
                whole_numbers("x", array)
        return
    whole, remarks = whole_numbers("x", array)
    np.testing.assert_array_equal(whole, exact)
    assert whole.dtype == next(t for t in (np.uint8, np.int16, np.int32) if np.array_equal(exact.astype(t), exact))
    assert bool(remarks) == (apart > 0)


TEST_CASE_TYPES: list[tuple[Any, int, Any]] = [
    (bool, 1, np.uint8),
    (np.uint8, 255, np.uint8),
    (np.int8, -1, np.int8),
    (np.uint16, 65535, np.uint16),
    (np.int16, -300, np.int16),
    (np.uint32, 300, np.int16),
    (np.int32, 70000, np.int32),
    (np.uint64, 7, np.uint8),
    (np.int64, -7, np.int16),
    (np.float32, 7, np.uint8),
    (np.float64, 70000, np.int32),
]


@pytest.mark.parametrize(("dtype", "value", "expected"), TEST_CASE_TYPES)
def test_types(dtype: Any, value: int, expected: Any) -> None:
    whole, remarks = whole_numbers("x", np.array([[0, value]], dtype=dtype))
    assert (whole.dtype, int(whole[0, 1]), remarks) == (expected, value, ())


@pytest.mark.parametrize("value", [2**40, -(2**40)])
def test_numbers_that_are_no_classes(value: int) -> None:
    for dtype in (np.int64, np.float64):
        with pytest.raises(ValueError, match=r"x: holds the value .*e.12, expected a label map of class numbers"):
            whole_numbers("x", np.array([[0, value]], dtype=dtype))
    with pytest.raises(ValueError, match="holds data of type complex128"):
        whole_numbers("x", np.array([[1j]]))


LABELS = np.zeros((6, 5, 4), np.uint8)
LABELS[1:4, 1:3, 1:3] = 2


def archive(path: Path, array: np.ndarray) -> Path:
    np.savez(path, label=np.moveaxis(array, -1, 0))
    return path


def numpy_file(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("error", [0.0, 1e-7, 5e-4, 0.3])
@pytest.mark.parametrize("kind", ["nii.gz", "nii", "mha", "nrrd", "npz", "npy"])
def test_label_maps_of_all_files(tmp_path: Path, kind: str, error: float) -> None:
    array = LABELS * (1 + error)
    if kind in ("npz", "npy"):
        path = (archive if kind == "npz" else numpy_file)(tmp_path / f"v.{kind}", array)
    else:
        path = write_volume(tmp_path, kind, array, AFFINE)
    if error > 1e-2:
        with pytest.raises(ValueError, match=r"holds fractional values between 0 and 2\.6"):
            read_label_map(path, "reference")
        return
    label = read_label_map(path, "reference")
    np.testing.assert_array_equal(label.array, LABELS)
    assert label.array.dtype == np.uint8
    if kind != "npz":
        assert bool(label.remarks) == (error > 0)
    if kind == "npz":
        np.testing.assert_array_equal(read_preprocessed(path, "label"), LABELS)
    elif kind != "npy":
        np.testing.assert_array_equal(read_volume(path, label=True).array, LABELS)


def test_a_slope_near_one(tmp_path: Path) -> None:
    """One message, whole numbers with a remark, or a refusal that says what is wrong."""
    path = write_volume(tmp_path, "nii.gz", LABELS.astype(np.int16))
    patched(path, scl_slope=1.00002)
    label = read_label_map(path, "reference")
    np.testing.assert_array_equal(label.array, LABELS)
    assert label.remarks == ("the class numbers are up to 4e-05 from whole ones and were rounded",)
    patched(path, scl_slope=0.5, scl_inter=0.25)
    for read in (lambda: read_label_map(path, "reference"), lambda: read_volume(path, label=True)):
        with pytest.raises(ValueError, match=r"holds fractional values between 0 and 1\.25, expected a label map"):
            read()


def test_other_files(tmp_path: Path) -> None:
    Image.fromarray(LABELS[:, :, 1]).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", LABELS[:, :, 1].astype(np.int64))
    for name in ("a.png", "a.npy"):
        label = read_label_map(tmp_path / name, "reference", spacing=(2, 3))
        np.testing.assert_array_equal(label.array, LABELS[:, :, 1])
        assert (label.spacing, label.unit, label.affine, label.sheared) == ((2, 3), "mm", None, False)
    assert read_label_map(LABELS, "reference").unit == "px"
    for spacing, message in (((1, 0, 1), "positive finite"), ((1, 2), "3 positive numbers"), ("x", "3 positive")):
        with pytest.raises(ValueError, match=message):
            read_label_map(LABELS, "reference", spacing)
    (tmp_path / "a.hdr").write_bytes(b"x")
    with pytest.raises(ValueError, match="one of the two files of a NIfTI pair or Analyze image"):
        read_label_map(tmp_path / "a.hdr", "reference")
    nib.save(nib.Nifti1Image(np.full((3, 3, 3), np.nan, np.float32), AFFINE), tmp_path / "n.nii")
    with pytest.raises(ValueError, match="27 of 27 voxels are NaN or infinite"):
        read_label_map(tmp_path / "n.nii", "reference")
    with pytest.raises(ValueError, match="reference: holds NaN or infinite values"):
        read_label_map(np.full((3, 3), np.inf), "reference")
