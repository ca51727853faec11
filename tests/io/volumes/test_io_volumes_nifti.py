# SPDX-License-Identifier: Apache-2.0
"""Headers of NIfTI files: what is read, with which remark, and what is refused, by training and scoring alike."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.data import read_volume, volume_header
from sa2_monai.inference.volume_saving import VolumeSaveImaged
from sa2_monai.io.label_maps import read_label_map
from sa2_monai.io.readers.volumes import VolumeReader
from sa2_monai.io.volumes.geometry import corner_distance
from sa2_monai.io.volumes.nifti import nifti_header
from sa2_monai.io.volumes.nifti_writer import header_like, nifti_writer
from sa2_monai.slices import StrictLoadImaged
from tests.support.volume_files import AFFINE, ARRAY, patched, write_volume

Q = {"qform_code": 1, "sform_code": 0}
ZERO = [1, 0.9, 0.8, 0, 0, 0, 0, 0]
NEGATIVE = [1, 0.9, -0.8, 2.5, 0, 0, 0, 0]
NAN = [1, np.nan, 0.8, 2.5, 0, 0, 0, 0]
INFINITE = [1, 0.9, 0.8, np.inf, 0, 0, 0, 0]


def write(folder: Path, kind: str = "nii.gz", **fields: Any) -> Path:
    path = write_volume(folder, kind)
    image = nib.load(path)
    image.set_qform(AFFINE, 1)
    nib.save(nib.Nifti1Image(ARRAY, None, image.header), path)
    return patched(path, **fields)


def qfac(value: float) -> list[float]:
    return [value, 0.9, 0.8, 2.5, 0, 0, 0, 0]


TEST_CASE_FINE: dict[str, tuple[dict[str, Any], str]] = {
    "as written": ({}, ""),
    "qform alone": (Q, ""),
    "qfac 0": ({"pixdim": qfac(0)}, ""),
    "qfac 0, qform alone": ({**Q, "pixdim": qfac(0)}, ""),
    "qfac NaN, qform alone": ({**Q, "pixdim": qfac(np.nan)}, ""),
    "sform alone": ({"qform_code": 0}, ""),
    "slope 0": ({"scl_slope": 0, "scl_inter": 7}, ""),
    "slope NaN": ({"scl_slope": np.nan, "scl_inter": np.nan}, ""),
    "slope NaN alone": ({"scl_slope": np.nan, "scl_inter": 3}, ""),
    "zero spacing beside an sform": ({"pixdim": ZERO}, "the spacing (pixdim 0.9, 0.8, 0) is not valid, the sform is"),
    "negative spacing beside an sform": ({"pixdim": NEGATIVE}, "the spacing (pixdim 0.9, -0.8, 2.5) is not valid"),
    "NaN beside an sform": ({"pixdim": NAN}, "the spacing (pixdim nan, 0.8, 2.5) is not valid, the sform is used"),
    "other spacing": ({"qform_code": 0, "pixdim": [1, 1, 1, 1, 0, 0, 0, 0]}, "0.9, 0.8, 2.5 by the sform and 1, 1, 1"),
    "invalid qform": ({"quatern_b": 3}, "the qform is invalid, the sform is used"),
    "NaN in the qform": ({"quatern_b": np.nan}, "the qform is invalid, the sform is used"),
    "another qform": ({"qoffset_x": 33}, "sform and qform disagree by 3 mm at a corner, the sform is used"),
    "vox_offset 0": ({"vox_offset": 0}, "does not say where the voxels begin (vox_offset 0); taken from byte 352"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["nii", "nii.gz"])
@pytest.mark.parametrize("name", TEST_CASE_FINE)
def test_headers_that_are_read(tmp_path: Path, name: str, kind: str) -> None:
    fields, message = TEST_CASE_FINE[name]
    path = write(tmp_path, kind, **fields)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert corner_distance(ARRAY.shape, volume.header.affine, AFFINE) < 1e-4
    assert [message in remark for remark in volume.header.remarks] == [True] * bool(message)
    label = read_label_map(path, "reference")
    np.testing.assert_array_equal(label.array, ARRAY)
    np.testing.assert_array_equal(label.affine, volume.header.affine)
    assert label.remarks == volume.header.remarks


def other_size(path: Path, size: int) -> None:
    content = bytearray(path.read_bytes())
    content[:4] = size.to_bytes(4, "little")
    path.write_bytes(content)


TEST_CASE_BAD: dict[str, tuple[dict[str, Any], str]] = {
    "zero spacing": ({**Q, "pixdim": ZERO}, r"has zero spacing \(pixdim 0.9, 0.8, 0 mm\)"),
    "negative spacing": ({**Q, "pixdim": NEGATIVE}, r"has invalid spacing \(pixdim 0.9, -0.8, 2.5 mm\)"),
    "NaN": ({**Q, "pixdim": NAN}, "has invalid spacing"),
    "infinite": ({**Q, "pixdim": INFINITE}, "has invalid spacing"),
    "zero spacing, no codes": ({"qform_code": 0, "sform_code": 0, "pixdim": ZERO}, "has zero spacing"),
    "sform of zeros": ({"srow_x": 0, "srow_y": 0, "srow_z": 0}, "has zero spacing"),
    "NaN in the sform": ({"srow_y": [0, np.nan, 0, 0]}, "the affine holds values that are not finite"),
    "invalid qform alone": ({**Q, "quatern_b": 3}, "the qform is invalid .* and there is no sform"),
    "NaN in the qform alone": ({**Q, "quatern_b": np.nan}, "the qform is invalid .* and there is no sform"),
    "bitpix of another type": ({"bitpix": 8}, r"datatype 4 \(int16\) has 16 bits per voxel, but bitpix says 8"),
    "datatype of another width": ({"datatype": 16}, r"datatype 16 \(float32\) has 32 bits .* bitpix says 16"),
    "no datatype": ({"datatype": 0, "bitpix": 0}, "unknown type"),
    "single bits": ({"datatype": 1, "bitpix": 1}, "unknown type"),
    "infinite slope": ({"scl_slope": np.inf}, "to be scaled by inf"),
    "NaN intercept": ({"scl_slope": 2, "scl_inter": np.nan}, "to be scaled by 2 with the intercept nan"),
    "no axes": ({"dim": [0, 9, 8, 7, 1, 1, 1, 1]}, r"it says 0 axes \(dim\[0\]\)"),
    "nine axes": ({"dim": [9, 9, 8, 7, 1, 1, 1, 1]}, r"it says 9 axes \(dim\[0\]\)"),
    "no voxels": ({"dim": [3, 9, 0, 7, 1, 1, 1, 1]}, "has no voxels"),
    "negative size": ({"dim": [3, 9, -8, 7, 1, 1, 1, 1]}, "has no voxels"),
    "more voxels": ({"dim": [3, 9, 8, 70, 1, 1, 1, 1]}, "truncated or damaged"),
    "fewer voxels": ({"dim": [3, 9, 8, 6, 1, 1, 1, 1]}, "holds 144 bytes behind the 9 x 8 x 6 voxels of int16"),
    "voxels in the header": ({"vox_offset": 100}, r"the voxels begin at byte 100 \(vox_offset\), expected 352"),
    "voxels nowhere": ({"vox_offset": np.nan}, r"the voxels begin at byte nan"),
    "voxels behind the end": ({"vox_offset": 1e6}, "truncated or damaged"),
    "half of a pair": ({"magic": b"ni1"}, "is the header of a NIfTI pair"),
    "Analyze": ({"magic": b""}, "is an Analyze 7.5 header"),
    "another magic": ({"magic": b"abc"}, "is not a NIfTI file or damaged"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["nii", "nii.gz"])
@pytest.mark.parametrize("name", TEST_CASE_BAD)
def test_headers_that_are_refused_by_all_readers(tmp_path: Path, name: str, kind: str) -> None:
    fields, message = TEST_CASE_BAD[name]
    path = write(tmp_path, kind, **fields)
    for read in (read_volume, lambda p: read_label_map(p, "reference"), VolumeReader(label=True).read):
        with pytest.raises(ValueError, match=message) as error:
            read(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize(("code", "factor", "word"), [(1, 1000, "metres"), (3, 1e-3, "micrometres")])
def test_units_are_converted(tmp_path: Path, code: int, factor: float, word: str) -> None:
    header = volume_header(write(tmp_path, xyzt_units=code))
    np.testing.assert_allclose(header.affine[:3], AFFINE[:3] * factor, rtol=1e-6)
    assert header.remarks == (f"the header counts in {word} (xyzt_units), converted to millimetres",)
    for plain in (0, 2, 2 + 8):
        assert volume_header(write(tmp_path, xyzt_units=plain)).remarks == ()


TYPES = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64, np.float32, np.float64)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    dtype=st.sampled_from(TYPES),
    order=st.sampled_from("<>"),
    kind=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    suffix=st.sampled_from(["nii", "nii.gz"]),
    slope=st.sampled_from([None, 1.0, 0.5, -3.25, 1e-3]),
    inter=st.sampled_from([0.0, -1024.0, 0.125]),
)
def test_voxels_are_those_of_nibabel(
    tmp_path_factory: pytest.TempPathFactory, dtype: Any, order: str, kind: Any, suffix: str, slope: Any, inter: float
) -> None:
    path = tmp_path_factory.mktemp("types") / f"v.{suffix}"
    array = np.arange(-250, 254).reshape(9, 8, 7).astype(dtype)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    image = kind(array, AFFINE, header)
    if slope is not None:
        image.header["scl_slope"], image.header["scl_inter"] = slope, inter
        path.write_bytes(gzip.compress(_stored(image, array)) if suffix == "nii.gz" else _stored(image, array))
    else:
        nib.save(image, path)
    volume = read_volume(path)
    if slope is None or (slope, inter) == (1.0, 0.0):
        np.testing.assert_array_equal(volume.array, array)
        assert volume.array.dtype == np.dtype(dtype)
    else:
        expected = array.astype(np.float64) * float(image.header["scl_slope"]) + inter
        np.testing.assert_array_equal(volume.array, expected.astype(np.float32))
        np.testing.assert_allclose(volume.array, nib.load(path).get_fdata(), rtol=1e-5, atol=1e-3)
    assert volume.array.dtype == volume.header.dtype
    assert volume.array.dtype.isnative


def _stored(image: Any, array: np.ndarray) -> bytes:
    """Header with a slope, and the voxels as they are: nibabel would divide them by it."""
    header = image.header.copy()
    header["vox_offset"] = header.sizeof_hdr + 4
    header["magic"] = b"n+1" if header.sizeof_hdr == 348 else header["magic"]
    return header.binaryblock + bytes(4) + array.astype(header.get_data_dtype()).tobytes(order="F")


@pytest.mark.parametrize("fields", [{}, {**Q, "pixdim": qfac(0)}, {"pixdim": ZERO}, {"xyzt_units": 3}])
def test_predictions_lie_on_the_grid_of_such_inputs(tmp_path: Path, fields: dict[str, Any]) -> None:
    """The geometry of the output is that of the input byte for byte, and both are read alike."""
    path = write(tmp_path, **fields)
    image = StrictLoadImaged("pred", VolumeReader(), ensure_channel_first=True, image_only=True)({"pred": path})["pred"]
    VolumeSaveImaged("pred", tmp_path / "out")({"pred": (image > 0).to(image.dtype), "case": "v"})
    written = tmp_path / "out" / "v.nii.gz"
    np.testing.assert_array_equal(volume_header(written).affine, volume_header(path).affine)
    headers = [nib.Nifti1Header(gzip.decompress(p.read_bytes())[:348], check=False) for p in (path, written)]
    for field in ("dim", "pixdim", "qform_code", "sform_code", "srow_x", "quatern_b", "qoffset_x", "xyzt_units"):
        assert headers[0][field].tobytes() == headers[1][field].tobytes(), field
    np.testing.assert_array_equal(read_volume(written, label=True).array, ARRAY > 0)


def test_two_axes_are_for_label_maps_only(tmp_path: Path) -> None:
    labels = (ARRAY[:, :, 0] > 0).astype(np.uint8)
    path = tmp_path / "flat.nii.gz"
    for third in (1.0, 0.0):
        nib.save(nib.Nifti1Image(labels, AFFINE), path)
        patched(path, pixdim=[1, 0.9, 0.8, third, 0, 0, 0, 0])
        label = read_label_map(path, "reference")
        np.testing.assert_array_equal(label.array, labels)
        assert label.spacing == pytest.approx((0.9, 0.8))
        with pytest.raises(ValueError, match="is a 2D image"):
            read_volume(path)
    patched(path, srow_x=[-0.9, 0, 0, 1], srow_y=[0, -0.8, 0, 2], srow_z=[0, 0, 0, 3])  # nothing along a third axis
    assert nifti_header(path, flat=True).shape == (9, 8, 1)


def test_writer_and_reader_agree(tmp_path: Path) -> None:
    path = write(tmp_path)
    with (tmp_path / "w.nii.gz").open("wb") as file:
        nifti_writer(header_like(path), ARRAY)(file)
    volume = read_volume(tmp_path / "w.nii.gz")
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_array_equal(volume.header.affine, volume_header(path).affine)
