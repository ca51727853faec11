# SPDX-License-Identifier: Apache-2.0
"""Damaged and hostile lengths in DICOM files: refused before memory is asked for, by every reader."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sa2_monai.data import read_image, read_volume
from sa2_monai.io.dicom import lengths
from sa2_monai.io.dicom.lengths import check_lengths
from sa2_monai.io.limits import voxels
from tests.support.dicom_files import edit, write_multiframe, write_series

HUGE = 0xFFFFFFF0
# An element that promises 4 GiB: at the top, in a sequence of unknown length, in one of known length.
ELEMENT = struct.pack("<HH2sHI", 0x0008, 0x1140, b"UN", 0, HUGE)
UNDEFINED = 0xFFFFFFFF
SEQUENCE = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, UNDEFINED) + struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
KNOWN = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 200) + struct.pack("<HHI", 0xFFFE, 0xE000, 100)
TEST_CASES: dict[str, bytes] = {
    "element": ELEMENT,
    "sequence": struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, HUGE),
    "item": SEQUENCE[:12] + struct.pack("<HHI", 0xFFFE, 0xE000, HUGE),
    "in a sequence": SEQUENCE + ELEMENT,
    "in a sequence of known length": KNOWN + ELEMENT,
    "implicit": struct.pack("<HHI", 0x0008, 0x1140, HUGE),
}


def spoiled(path: Path, insert: bytes) -> None:
    """Put bytes in front of the first element of group 0020."""
    content = path.read_bytes()
    at = content.index(b"\x20\x00\x0d\x00UI")
    path.write_bytes(content[:at] + insert + content[at:])


@pytest.mark.parametrize("case", TEST_CASES)
def test_a_slice(tmp_path: Path, case: str) -> None:
    write_series(tmp_path / "s")
    path = sorted((tmp_path / "s").iterdir())[2]
    spoiled(path, TEST_CASES[case])
    readers: list[Callable[[], object]] = [
        lambda: check_lengths(path),
        lambda: read_volume(tmp_path / "s"),
        lambda: read_image(path),
    ]
    for read in readers:
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=rf"{path.name}.*(promises {HUGE} bytes|cannot be read|be read)"):
                read()
            assert tracemalloc.get_traced_memory()[1] < 2**24
        finally:
            tracemalloc.stop()


def test_what_is_in_order(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    write_multiframe(tmp_path / "m.dcm")
    path = sorted((tmp_path / "s").iterdir())[0]
    for file in (path, tmp_path / "m.dcm"):
        check_lengths(file)
        for syntax in (pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRBigEndian):
            read = pydicom.dcmread(file)
            dataset = pydicom.Dataset()
            for element in read:
                dataset.add(element)
            dataset.file_meta, dataset.preamble = read.file_meta, bytes(128)
            other = tmp_path / f"{syntax}.dcm"
            dataset.file_meta.TransferSyntaxUID = syntax
            if syntax == pydicom.uid.ExplicitVRBigEndian:
                dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
            dataset.save_as(other, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
            check_lengths(other)
    (tmp_path / "x.txt").write_text("no DICOM at all, but longer than the head of an element")
    check_lengths(tmp_path / "x.txt")


# What GDCM would guess about: no type, one that is none, a text of unknown length.
TEST_CASE_TYPES = {
    "no type": struct.pack("<HHI", 0x0008, 0x1140, 4) + b"abcd",
    "another": struct.pack("<HH2sH", 0x0008, 0x1140, b"QQ", 4) + b"abcd",
    "length": struct.pack("<HH2sHI", 0x0008, 0x1140, b"UT", 0, UNDEFINED),
}
SEQUENCE_WITHOUT_TYPES = (
    struct.pack("<HH2sHI", 0x0009, 0x1001, b"UN", 0, UNDEFINED)
    + struct.pack("<HHIHHI", 0xFFFE, 0xE000, 12, 0x0008, 0x1150, 4)
    + b"1.2\0"
    + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
)


@pytest.mark.parametrize("case", TEST_CASE_TYPES)
def test_types_of_elements(tmp_path: Path, case: str) -> None:
    write_series(tmp_path / "s")
    path = sorted((tmp_path / "s").iterdir())[0]
    spoiled(path, TEST_CASE_TYPES[case])
    check_lengths(path)
    with pytest.raises(ValueError, match=r"the element \(0008,1140\) has the type .*, expected those of DICOM"):
        check_lengths(path, strict=True)
    (other,) = sorted((tmp_path / "s").iterdir())[1:2]
    spoiled(other, SEQUENCE_WITHOUT_TYPES)
    check_lengths(other, strict=True)


def test_fragments(tmp_path: Path) -> None:
    """Compressed pixels hold items whose bytes are no elements."""
    write_series(tmp_path / "s")
    path = sorted((tmp_path / "s").iterdir())[0]
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless)
    dataset.save_as(path)
    check_lengths(path)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"\xfe\xff\x00\xe0")
    content[at + 4 : at + 8] = struct.pack("<I", HUGE)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"\(fffe,e000\) promises {HUGE} bytes"):
        check_lengths(path)


def test_deflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "s")
    expected = read_volume(tmp_path / "s").array
    for path in (tmp_path / "s").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
        dataset.save_as(path)
    np.testing.assert_array_equal(read_volume(tmp_path / "s").array, expected)
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = engine.compress(bytes(2**24)) + engine.flush()
    content = path.read_bytes()
    start = content.index(b"1.2.840.10008.1.2.1.99") + 22
    end = 132 + 12 + int.from_bytes(content[140:144], "little")
    assert start <= end
    path.write_bytes(content[:end] + bomb)
    monkeypatch.setattr(lengths, "bytes_at_most", lambda: 2**20)
    with pytest.raises(ValueError, match="becomes more than the 1048576 bytes that are allowed"):
        check_lengths(path)
    with pytest.raises(ValueError, match=path.name):
        read_volume(tmp_path / "s")


def test_slices_that_promise_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "s")
    for path in (tmp_path / "s").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(path)
        edit(path, Rows=40000, Columns=40000)
    monkeypatch.setattr(voxels, "free_memory", lambda: 2.0**30)
    with pytest.raises(ValueError, match=r"asks for 40000 x 40000 x 6 = 9600000000 voxels"):
        read_volume(tmp_path / "s")
