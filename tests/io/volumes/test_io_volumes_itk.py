# SPDX-License-Identifier: Apache-2.0
"""MetaImage and NRRD files: the voxels are those of ITK, in every form that the headers allow; bad headers by name."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.data import read_volume
from sa2_monai.io.label_maps import read_label_map
from tests.support.volume_files import ARRAY, data_file, write_volume

TYPES = {
    np.uint8: ("MET_UCHAR", "uchar"),
    np.int8: ("MET_CHAR", "signed char"),
    np.uint16: ("MET_USHORT", "ushort"),
    np.int16: ("MET_SHORT", "short"),
    np.uint32: ("MET_UINT", "uint"),
    np.int32: ("MET_INT", "int"),
    np.float32: ("MET_FLOAT", "float"),
    np.float64: ("MET_DOUBLE", "double"),
}


def meta_header(array: np.ndarray, **fields: str) -> str:
    known = {
        "ObjectType": "Image",
        "NDims": "3",
        "DimSize": " ".join(map(str, array.shape)),
        "ElementSpacing": "1 2 3",
        "ElementType": TYPES[array.dtype.type][0],
    }
    last = fields.pop("ElementDataFile", "LOCAL")
    lines = [f"{key} = {value}" for key, value in {**known, **fields, "ElementDataFile": last}.items() if value]
    return "\n".join(lines) + "\n"


def nrrd_header(array: np.ndarray, **fields: str) -> str:
    known = {
        "type": TYPES[array.dtype.type][1],
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, array.shape)),
        "space directions": "(1,0,0) (0,2,0) (0,0,3)",
        "endian": "little",
        "encoding": "raw",
    }
    fields = {key.replace("_", " "): value for key, value in fields.items()}
    return "NRRD0004\n# by hand\n" + "".join(f"{k}: {v}\n" for k, v in {**known, **fields}.items() if v) + "\n"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    dtype=st.sampled_from(list(TYPES)),
    big=st.booleans(),
    packed=st.booleans(),
    detached=st.booleans(),
    meta=st.booleans(),
    skip=st.sampled_from([0, 0, 16, -1]),
)
def test_every_form_of_the_headers(
    tmp_path_factory: pytest.TempPathFactory,
    dtype: Any,
    big: bool,
    packed: bool,
    detached: bool,
    meta: bool,
    skip: int,
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    array = np.arange(60).reshape(5, 4, 3).astype(dtype)
    skip = 0 if packed or not detached else skip
    voxels = array.astype(array.dtype.newbyteorder(">" if big else "<")).tobytes(order="F")
    content = bytes(16 if skip else 0) + (zlib.compress(voxels) if meta else gzip.compress(voxels)) * packed
    content += voxels * (not packed)
    if meta:
        fields = {"BinaryData": "True", "BinaryDataByteOrderMSB": str(big), "CompressedData": str(packed)}
        if packed:
            fields["CompressedDataSize"] = str(len(content))
        if detached:
            fields |= {"ElementDataFile": "v.bin", "HeaderSize": str(skip) if skip else ""}
        path, header = folder / ("v.mhd" if detached else "v.mha"), meta_header(array, **fields)
    else:
        fields = {"endian": "big" if big else "little", "encoding": "gzip" if packed else "raw"}
        fields |= {"data_file": "v.bin" if detached else "", "byte_skip": str(skip) if skip else ""}
        path, header = folder / ("v.nhdr" if detached else "v.nrrd"), nrrd_header(array, **fields)
    path.write_bytes(header.encode() + (b"" if detached else content))
    if detached:
        (folder / "v.bin").write_bytes(content)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T, array)
    assert volume.array.dtype == np.dtype(dtype)
    np.testing.assert_allclose(np.abs(np.diag(volume.header.affine)), [1, 2, 3, 1])
    assert volume.header.remarks == ()


def test_what_is_left_to_itk(tmp_path: Path) -> None:
    """Text, and raw voxels in several files."""
    array = np.arange(60).reshape(5, 4, 3).astype(np.int16)
    text = " ".join(map(str, array.ravel(order="F"))) + "\n"
    (tmp_path / "t.mha").write_text(meta_header(array, BinaryData="False") + text)
    (tmp_path / "t.nrrd").write_text(nrrd_header(array, encoding="ascii", endian="") + text)
    for k in range(3):
        (tmp_path / f"s{k + 1}.raw").write_bytes(array[:, :, k].tobytes(order="F"))
    listed = meta_header(array, ElementDataFile="LIST") + "s1.raw\ns2.raw\ns3.raw\n"
    (tmp_path / "l.mhd").write_text(listed)
    for name in ("t.mha", "t.nrrd", "l.mhd"):
        np.testing.assert_array_equal(read_volume(tmp_path / name).array, array)
    (tmp_path / "l.mhd").write_text(listed.replace("DimSize", "CompressedData = True\nDimSize"))
    (tmp_path / "l.nhdr").write_text(nrrd_header(array, encoding="gzip", data_file="s%d.raw 1 3 1"))
    for name in ("l.mhd", "l.nhdr"):
        with pytest.raises(ValueError, match="its compressed voxels lie in several files"):
            read_volume(tmp_path / name)


TEST_CASE_SPACING: list[tuple[str, str, str]] = [
    ("mha", "1 0 3", "has zero spacing .1 0 3."),
    ("mha", "1 -2 3", "has invalid spacing .1 -2 3."),
    ("mha", "1 nan 3", "has zero spacing .1 nan 3."),
    ("mha", "inf 2 3", "has zero spacing .inf 2 3."),
    ("nrrd", "1 0 3", "has zero spacing .1 0 3."),
    ("nrrd", "1 -2 3", "has invalid spacing .1 -2 3."),
    ("nrrd", "1 nan 3", "has invalid spacing .1 nan 3."),
    ("directions", "(1,0,0) (0,nan,0) (0,0,3)", "spacing .*nan"),
    ("directions", "(1,0,0) (0,0,0) (0,0,3)", "spacing .*.0,0,0."),
    ("directions", "(1,0,0) (1,0,0) (0,0,3)", "the affine cannot be inverted"),
]


@pytest.mark.parametrize(("form", "spacing", "message"), TEST_CASE_SPACING)
def test_spacing_that_is_no_positive_number(tmp_path: Path, form: str, spacing: str, message: str) -> None:
    array = np.zeros((5, 4, 3), np.uint8)
    path = tmp_path / ("v.mha" if form == "mha" else "v.nrrd")
    header = meta_header(array, ElementSpacing=spacing)
    if form == "nrrd":
        header = nrrd_header(array, space="", space_directions="", spacings=spacing)
    elif form == "directions":
        header = nrrd_header(array, space_directions=spacing)
    path.write_bytes(header.encode() + array.tobytes())
    for read in (read_volume, lambda p: read_label_map(p, "reference")):
        with pytest.raises(ValueError, match=message):
            read(path)


def test_unknown_spacing_is_a_remark(tmp_path: Path) -> None:
    array = np.zeros((5, 4, 3), np.uint8)
    (tmp_path / "v.mha").write_bytes(meta_header(array, ElementSpacing="").encode() + array.tobytes())
    header = nrrd_header(array, space="", space_directions="")
    (tmp_path / "v.nrrd").write_bytes(header.encode() + array.tobytes())
    for name in ("v.mha", "v.nrrd"):
        remarks = read_volume(tmp_path / name).header.remarks
        assert remarks[0] == "spacing unknown (the header does not say it): taken as 1 mm"


@pytest.mark.parametrize("kind", ["mhd", "raw.mhd", "nhdr", "raw.nhdr"])
def test_a_missing_data_file(tmp_path: Path, kind: str) -> None:
    path = write_volume(tmp_path, kind)
    data_file(path).unlink()
    with pytest.raises(ValueError, match="its data file is missing") as error:
        read_volume(path)
    assert str(path) in str(error.value)


TEST_CASE_FIELDS = {
    "axes": {"NDims": "93"},
    "no axes": {"NDims": "0"},
    "no number": {"NDims": "x"},
    "sizes": {"DimSize": "5 4 3 2"},
    "matrix": {"TransformMatrix": "1 0 0 1"},
    "offset": {"Offset": " ".join(["0"] * 300)},
    "header size": {"HeaderSize": "many", "ElementDataFile": "v.raw"},
    "name": {"N" * 3000: "1"},
}


@pytest.mark.parametrize("name", TEST_CASE_FIELDS)
def test_fields_that_do_not_fit(tmp_path: Path, name: str) -> None:
    """Some of them make ITK write beyond its memory, which ends the process."""
    array = np.zeros((5, 4, 3), np.uint8)
    path = tmp_path / "v.mha"
    path.write_bytes(meta_header(array, **TEST_CASE_FIELDS[name]).encode() + array.tobytes())
    (tmp_path / "v.raw").write_bytes(array.tobytes())
    with pytest.raises(ValueError, match="truncated or damaged") as error:
        read_volume(path)
    assert str(path) in str(error.value)


def test_headers_that_promise_terabytes(tmp_path: Path) -> None:
    array = np.zeros((5, 4, 3), np.uint8)
    sizes = "30000 30000 30000"
    (tmp_path / "v.mha").write_bytes(meta_header(array, DimSize=sizes).encode() + array.tobytes())
    packed = meta_header(array, DimSize=sizes, CompressedData="True")
    (tmp_path / "w.mha").write_bytes(packed.encode() + zlib.compress(array.tobytes()))
    (tmp_path / "v.nrrd").write_bytes(nrrd_header(array, sizes=sizes).encode() + array.tobytes())
    for name in ("v.mha", "w.mha", "v.nrrd"):
        with pytest.raises(ValueError, match="promises 30000 x 30000 x 30000 voxels of uint8"):
            read_volume(tmp_path / name)


def test_two_axes_are_for_label_maps_only(tmp_path: Path) -> None:
    labels = (ARRAY[:, :, 0] > 0).astype(np.uint8)
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels.T))
    image.SetSpacing((0.9, 0.8))
    for name in ("f.mha", "f.nrrd"):
        sitk.WriteImage(image, str(tmp_path / name))
        label = read_label_map(tmp_path / name, "reference")
        np.testing.assert_array_equal(label.array, labels)
        assert label.spacing == pytest.approx((0.9, 0.8))
        with pytest.raises(ValueError, match="is a 2D image"):
            read_volume(tmp_path / name)
