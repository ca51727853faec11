# SPDX-License-Identifier: Apache-2.0
"""Values of DICOM slices: stored * slope + intercept by the standard, however the pixels are stored and shown."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless

from sa2_monai.data import read_volume, volume_header
from sa2_monai.io.dicom.series import find_series
from tests.support.dicom_files import edit, set_raw, set_stored, write_series

SMALL = (40, 36, 3)  # OpenJPEG needs 32 pixels at least


def paths_of(folder: Path) -> list[Path]:
    return [item.path for item in find_series(folder).slices]


def filled(folder: Path, dtype: Any, bits: int | None = None, seed: int = 0, **tags: Any) -> np.ndarray:
    """A series with random stored values over the whole range; returns them (column, row, slice)."""
    write_series(folder, shape=SMALL, **tags)
    bits = bits or np.dtype(dtype).itemsize * 8
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if np.dtype(dtype).kind == "i" else (0, 2**bits)
    stored = np.random.default_rng(seed).integers(low, high, SMALL[::-1]).astype(dtype)
    stored[:, 0, :2] = low, high - 1
    for path, plane in zip(paths_of(folder), stored, strict=True):
        set_stored(path, plane, BitsStored=bits)
    return stored.T.astype(np.int64)


def compressed(path: Path, codec: str) -> None:
    """Compress the pixels of a file, its other elements as they are."""
    import SimpleITK as sitk

    file = pydicom.dcmread(path)
    if codec == "RLE":
        file.compress(RLELossless, generate_instance_uid=False)
        file.save_as(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        name = str(Path(folder) / "c.dcm")
        writer = sitk.ImageFileWriter()
        writer.SetFileName(name)
        writer.UseCompressionOn()
        writer.SetCompressor(codec)
        writer.Execute(sitk.GetImageFromArray(file.pixel_array))
        other = pydicom.dcmread(name)
    file["PixelData"] = other["PixelData"]
    file.file_meta.TransferSyntaxUID = other.file_meta.TransferSyntaxUID
    file.BitsAllocated, file.BitsStored, file.HighBit = other.BitsAllocated, other.BitsStored, other.HighBit
    file.save_as(path)


@pytest.mark.parametrize("modality", ["CT", "PT", "MR"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("codec", ["", "RLE", "JPEG2000", "JPEG"])
def test_monochrome1_is_not_inverted(
    tmp_path: Path, modality: str, signed: bool, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored = filled(
        tmp_path / "s",
        np.int16 if signed else np.uint16,
        modality=modality,
        RescaleSlope="2",
        RescaleIntercept="-1024",
        PhotometricInterpretation="MONOCHROME1",
    )
    if codec:
        for path in paths_of(tmp_path / "s"):
            compressed(path, codec)
    with caplog.at_level(logging.WARNING):
        volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, stored * 2 - 1024)
    assert volume.array.dtype == volume_header(tmp_path / "s").dtype == np.int32
    # A modality without a scale of its own could be meant as it is shown.
    assert ("not inverted" in caplog.text) == (modality == "MR")


TEST_CASE_SLOPES: dict[str, tuple[list[str], list[str], type]] = {
    "one for all": (["1"] * 3, ["-1024"] * 3, np.int16),
    "of every slice, whole": (["1", "2", "3"], ["0", "-5", "7"], np.int16),
    "of every slice": (["0.5", "1.25", "2"], ["0", "-0.5", "3"], np.float32),
    "whole with decimals": (["1.000000", "1.0E+00", "1"], ["-1024.000"] * 3, np.int16),
    "negative": (["-1", "-1", "-1"], ["100"] * 3, np.int16),
    "small": (["0.000244140625"] * 3, ["0"] * 3, np.float32),
}


@pytest.mark.parametrize("name", TEST_CASE_SLOPES)
def test_slopes(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    slopes, intercepts, dtype = TEST_CASE_SLOPES[name]
    stored = filled(tmp_path / "s", np.uint16, bits=12, modality="PT", RescaleSlope="1", RescaleIntercept="0")
    for path, slope, intercept in zip(paths_of(tmp_path / "s"), slopes, intercepts, strict=True):
        edit(path, RescaleSlope=slope, RescaleIntercept=intercept, Units="BQML")
    with caplog.at_level(logging.WARNING):
        volume = read_volume(tmp_path / "s")
    expected = stored * np.array(slopes, float) + np.array(intercepts, float)
    assert volume.array.dtype == volume_header(tmp_path / "s").dtype == dtype
    assert np.array_equal(volume.array, expected.astype(dtype))
    assert "those of the file (BQML); SUV is not computed" in caplog.text


def test_rescale_of_other_modalities_may_be_missing(tmp_path: Path) -> None:
    stored = filled(tmp_path / "s", np.uint16, bits=12, modality="MR")
    volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, stored)
    for path in paths_of(tmp_path / "s"):
        edit(path, RescaleSlope="2", RescaleIntercept="")
    assert np.array_equal(read_volume(tmp_path / "s").array, stored * 2)


TEST_CASE_BAD: dict[str, tuple[dict[str, bytes], str]] = {
    "no number": ({"RescaleSlope": b"one"}, r"no usable number \(1\):\n.*instance 2\): RescaleSlope 'one'"),
    "comma": ({"RescaleIntercept": b"-1024,0"}, r"instance 2\): RescaleIntercept '-1024,0'"),
    "zero": ({"RescaleSlope": b"0"}, r"instance 2\): RescaleSlope '0'"),
    "not finite": ({"RescaleIntercept": b"inf"}, r"instance 2\): RescaleIntercept 'inf'"),
    "two values": ({"RescaleSlope": b"1\\2"}, r"RescaleSlope '1\\2'"),
    "empty": ({"RescaleIntercept": b""}, "CT images without RescaleSlope and RescaleIntercept"),
}


@pytest.mark.parametrize("name", TEST_CASE_BAD)
def test_rescale_that_is_no_number(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / "s", shape=SMALL)
    values, message = TEST_CASE_BAD[name]
    set_raw(paths_of(tmp_path / "s")[1], **values)
    with pytest.raises(ValueError, match=message):
        read_volume(tmp_path / "s")


def bits(signed: bool, allocated: int, stored: int, high: int) -> tuple[bool, int, int, int]:
    return signed, allocated, stored, high


TEST_CASE_BITS = {
    "8 of 8": bits(False, 8, 8, 7),
    "12 of 16": bits(False, 16, 12, 11),
    "12 of 16, signed": bits(True, 16, 12, 11),
    "12 of 16, at the upper end": bits(False, 16, 12, 15),
    "10 of 16, in the middle, signed": bits(True, 16, 10, 12),
    "16 of 16, signed": bits(True, 16, 16, 15),
    "7 of 8, signed": bits(True, 8, 7, 6),
    "24 of 32": bits(False, 32, 24, 23),
    "32 of 32, signed": bits(True, 32, 32, 31),
}


def packed(values: np.ndarray, case: tuple[bool, int, int, int], seed: int) -> np.ndarray:
    """Stored bits at their place, the others (overlays, rubbish) random."""
    _, allocated, stored, high = case
    mask = ((1 << stored) - 1) << (high + 1 - stored)
    rubbish = np.random.default_rng(seed).integers(0, 1 << allocated, values.shape, dtype=np.int64) & ~mask
    word = ((values << (high + 1 - stored)) & mask) | rubbish
    return (word & ((1 << allocated) - 1)).astype(f"u{allocated // 8}")


@pytest.mark.parametrize("syntax", ["", ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, "RLE"])
@pytest.mark.parametrize("name", TEST_CASE_BITS)
def test_stored_bits(tmp_path: Path, name: str, syntax: Any) -> None:
    signed, allocated, stored, high = case = TEST_CASE_BITS[name]
    if syntax == "RLE" and allocated == 32:
        pytest.skip("pydicom does not encode it")
    write_series(tmp_path / "s", shape=SMALL, modality="MR")
    low = -(1 << (stored - 1)) if signed else 0
    values = np.random.default_rng(1).integers(low, low + (1 << stored), SMALL[::-1], dtype=np.int64)
    for path, plane in zip(paths_of(tmp_path / "s"), values, strict=True):
        set_stored(path, packed(plane, case, 2), BitsStored=stored, HighBit=high)
        edit(path, PixelRepresentation=int(signed))
        if syntax == "RLE":
            compressed(path, "RLE")
        elif syntax:
            transfer(path, syntax)
    volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, values.T)


def transfer(path: Path, syntax: Any) -> None:
    file = pydicom.dcmread(path)
    if syntax == ExplicitVRBigEndian:
        size = file.BitsAllocated // 8
        words = np.frombuffer(file.PixelData[: file.Rows * file.Columns * size], f"<u{size}")
        block = words.astype(f">u{size}").tobytes()
        file.PixelData = block + b"\0" * (len(block) % 2)
        if size == 1:  # by words, whose bytes are exchanged
            file.PixelData = np.frombuffer(file.PixelData, "<u2").astype(">u2").tobytes()
        file["PixelData"].VR = "OW"
    file.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        path, file, enforce_file_format=True, implicit_vr=False, little_endian=syntax != ExplicitVRBigEndian
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.sampled_from([8, 16, 32]), st.data())
def test_any_bits(allocated: int, data: st.DataObject) -> None:
    from sa2_monai.io.dicom.pixels import _bits

    stored = data.draw(st.integers(1, allocated))
    high = data.draw(st.integers(stored - 1, allocated - 1))
    signed = data.draw(st.booleans())
    low = -(1 << (stored - 1)) if signed else 0
    values = np.random.default_rng(stored).integers(low, low + (1 << stored), 20, dtype=np.int64)
    word = packed(values, (signed, allocated, stored, high), high)
    item = type("Item", (), {"bits": stored, "allocated": allocated, "high_bit": high, "signed": signed})
    assert np.array_equal(_bits(word, item), values)


@pytest.mark.parametrize("first", [0, 100, -50])
def test_modality_lookup_table(tmp_path: Path, first: int, caplog: pytest.LogCaptureFixture) -> None:
    signed = first < 0
    stored = filled(tmp_path / "s", np.int16 if signed else np.uint16, bits=9, modality="MR")
    table = np.random.default_rng(3).integers(0, 65536, 200).astype(np.uint16)
    for path in paths_of(tmp_path / "s"):
        lut = pydicom.Dataset()
        lut.add_new("LUTDescriptor", "SS" if signed else "US", [200, first, 16])
        lut.ModalityLUTType = "US"
        lut.add_new("LUTData", "US", table.tolist())
        edit(path, ModalityLUTSequence=[lut], PhotometricInterpretation="MONOCHROME1")
    volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, table[np.clip(stored - first, 0, 199)])
    assert volume.array.dtype == volume_header(tmp_path / "s").dtype


def colour(path: Path) -> None:
    rgb = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    edit(path, PixelData=bytes(40 * 36 * 3), BitsAllocated=8, BitsStored=8, HighBit=7, **rgb)


TEST_CASE_REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "colour": (colour, r"colour images \(1\):\n.*instance 2\): 3 samples per pixel, RGB"),
    "palette": (
        lambda p: edit(p, PhotometricInterpretation="PALETTE COLOR"),
        r"colour images \(1\):\n.*1 samples per pixel, PALETTE COLOR",
    ),
    "one bit": (lambda p: edit(p, BitsAllocated=1, BitsStored=1, HighBit=0), r"instance 2\): BitsAllocated 1"),
    "more bits than there are": (lambda p: edit(p, BitsStored=18, HighBit=17), "BitsAllocated 16, BitsStored 18"),
    "bits outside": (lambda p: edit(p, HighBit=16), "BitsStored 12, HighBit 16"),
    "more pixels than bytes": (
        lambda p: edit(p, Rows=47000, Columns=47000),
        r"truncated DICOM files \(1\):\n.*but 47000 x 47000 pixels in 1 frame\(s\) take 4418000000",
    ),
    "more frames than bytes": (lambda p: edit(p, NumberOfFrames=90000), r"90000 frame\(s\) take 259200000"),
    "compressed, more pixels than can be": (
        lambda p: (compressed(p, "JPEG"), edit(p, Rows=47000, Columns=47000)),
        r"different sizes \(1\)",
    ),
    "no pixels": (lambda p: edit(p, PixelData=None), r"ends before its pixels"),
}


@pytest.mark.parametrize("name", TEST_CASE_REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / "s", shape=SMALL)
    damage, message = TEST_CASE_REFUSED[name]
    damage(paths_of(tmp_path / "s")[1])
    with pytest.raises(ValueError, match=message):
        read_volume(tmp_path / "s")


@pytest.mark.parametrize("codec", ["JPEG", "RLE"])
def test_compressed_pixels_that_cannot_be(tmp_path: Path, codec: str) -> None:
    """All slices promise the same impossible size: nothing is allocated for them."""
    write_series(tmp_path / "s", shape=SMALL)
    for path in paths_of(tmp_path / "s"):
        compressed(path, codec)
        edit(path, Rows=20000, Columns=20000)
    with pytest.raises(ValueError, match=r"cannot be decoded \(800000000 bytes promised in \d+ of compressed pixels\)"):
        read_volume(tmp_path / "s")


def test_padding_stays(tmp_path: Path) -> None:
    stored = filled(tmp_path / "s", np.int16, RescaleSlope="1", RescaleIntercept="0")
    for path in paths_of(tmp_path / "s"):
        file = pydicom.dcmread(path)
        file.add_new("PixelPaddingValue", "SS", -32768)
        file.save_as(path)
    assert np.array_equal(read_volume(tmp_path / "s").array, stored)


def test_other_kinds_of_ct_values_are_suspected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "s", shape=SMALL, RescaleType="Z_EFF")
    with caplog.at_level(logging.WARNING):
        read_volume(tmp_path / "s")
    assert "CT with the RescaleType Z_EFF: the values may be no Hounsfield units" in caplog.text


@pytest.mark.parametrize("codec", ["RLE", "JPEG2000", "JPEG"])
def test_compressed_pixels_without_their_end(tmp_path: Path, codec: str) -> None:
    write_series(tmp_path / "s", shape=SMALL)
    paths = paths_of(tmp_path / "s")
    for path in paths:
        compressed(path, codec)
    paths[1].write_bytes(paths[1].read_bytes()[:-300])
    with pytest.raises(ValueError, match=r"e01: the pixels cannot be decoded \(the file ends within its pixels\)"):
        read_volume(tmp_path / "s")
