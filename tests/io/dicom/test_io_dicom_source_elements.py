# SPDX-License-Identifier: Apache-2.0
"""DICOM SEG of sources with elements that are missing or not valid: written, with one warning for each."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.data import read_volume
from sa2_monai.inference import read_dicom_seg, write_dicom_seg
from sa2_monai.io.dicom.charsets import decode_text, read_charsets
from sa2_monai.io.dicom.values import clean_text

highdicom = pytest.importorskip("highdicom", reason="the extra dicom is not installed")
import pydicom  # noqa: E402

from tests.support.dicom_files import ROOT, edit, set_raw, write_multiframe, write_series  # noqa: E402

SMALL = (8, 6, 4)
UID = re.compile(r"2\.25\.\d+")


def written(tmp_path: Path, caplog: pytest.LogCaptureFixture, names: Any = ("background", "liver")) -> tuple[Any, str]:
    """SEG of the series in ``s``, read by pydicom, and what was logged."""
    labels = np.zeros(SMALL, np.uint8)
    labels[2:5, 1:3, 1:3] = 1
    path = tmp_path / "seg.dcm"
    with caplog.at_level(logging.WARNING):
        write_dicom_seg(labels, tmp_path / "s", path, names)
    assert np.array_equal(read_dicom_seg(path, tmp_path / "s")[0], labels)
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    assert np.array_equal(volume.array, labels.T[1:3])
    return pydicom.dcmread(path), caplog.text


# Element, bytes in the source, value in the SEG, and whether there is a warning.
TEST_CASE_VALUES: dict[str, tuple[str, bytes, str, bool]] = {
    "sex": ("PatientSex", b"F", "F", False),
    "sex in words": ("PatientSex", b"male", "M", True),
    "sex in a small letter": ("PatientSex", b"f", "F", True),
    "other sex": ("PatientSex", b"Other", "O", True),
    "unknown sex": ("PatientSex", b"U", "", True),
    "date with dashes": ("StudyDate", b"2020-01-31", "20200131", True),
    "date of ACR-NEMA": ("PatientBirthDate", b"1980.02.28", "19800228", True),
    "date and time": ("StudyDate", b"20200131123000", "20200131", True),
    "no such date": ("PatientBirthDate", b"19800231", "", True),
    "only a year": ("PatientBirthDate", b"1980", "", True),
    "another order of day and month": ("PatientBirthDate", b"01/02/1980", "", True),
    "no date": ("StudyDate", b"unknown", "", True),
    "hours": ("StudyTime", b"12", "12", False),
    "time with colons": ("StudyTime", b"12:30:45", "123045", True),
    "too many digits of a second": ("StudyTime", b"123045.1234567", "123045.123456", True),
    "no such time": ("StudyTime", b"256199", "", True),
    "age": ("PatientAge", b"045Y", "045Y", False),
    "age without zeros": ("PatientAge", b"45Y", "045Y", True),
    "age in small letters": ("PatientAge", b"6 m", "006M", True),
    "age without a unit": ("PatientAge", b"45", "", True),
    "weight with a comma": ("PatientWeight", b"72,5", "72.5", True),
    "weight of too many digits": ("PatientWeight", b"72.12345678901234567", "72.1234567890124", True),
    "weight with a unit": ("PatientWeight", b"72kg", "None", True),
    "name": ("PatientName", b"Doe^Jane^^^", "Doe^Jane^^^", False),
    "name of two": ("PatientName", b"Doe^Jane\\Doe^John", "", True),
    "name of too many parts": ("PatientName", b"a^b^c^d^e^f", "", True),
    "name too long": ("PatientName", b"x" * 80, "", True),
    "name with a line end": ("PatientName", b"Doe^\nJane", "Doe^ Jane", True),
    "name with control characters": ("PatientName", b"Doe^Jane\x07", "", True),
    "name of a physician": ("ReferringPhysicianName", b"A\\B", "", True),
    "identifier too long": ("PatientID", b"1" * 70, "", True),
    "accession number too long": ("AccessionNumber", b"12345678901234567", "", True),
    "study identifier": ("StudyID", b"a\\b", "", True),
    "comments may have backslashes": ("PatientComments", b"a\\b\r\nc", "a\\b\r\nc", False),
    "yes": ("PatientIdentityRemoved", b"yes", "YES", True),
}


@pytest.mark.parametrize("name", TEST_CASE_VALUES)
def test_elements_of_the_patient(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    element, raw, expected, told = TEST_CASE_VALUES[name]
    write_series(tmp_path / "s", shape=SMALL)
    for path in (tmp_path / "s").iterdir():
        set_raw(path, **{element: raw})
    seg, log = written(tmp_path, caplog)
    assert str(seg[element].value) == expected
    first = tmp_path / "s" / "f00"
    tag = pydicom.tag.Tag(element)
    lines = [line for line in log.splitlines() if element in line]
    assert len(lines) == told
    assert all(f"{first}: {element} ({tag.group:04x},{tag.element:04x}) " in line for line in lines)
    assert len(caplog.records) == told
    # Nobody is told who the patient is.
    assert not any(word in log for word in ("Doe", "Jane", "1980", "11111"))


JAPANESE = b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
TEST_CASE_CHARSETS: dict[str, tuple[bytes, bytes, str, str | None, bool]] = {
    "none": (b"", b"Doe^Jane", "Doe^Jane", None, False),
    "latin": (b"ISO_IR 100", "Müller".encode("latin-1"), "Müller", "ISO_IR 100", False),
    "utf-8": (b"ISO_IR 192", "Müller^Ł".encode(), "Müller^Ł", "ISO_IR 192", False),
    "russian": (
        b"ISO_IR 144",
        "\u041b\u044e\u043a\u0441".encode("iso8859-5"),
        "\u041b\u044e\u043a\u0441",
        "ISO_IR 144",
        False,
    ),
    "japanese": (b"\\ISO 2022 IR 87", b"Yamada^Tarou=" + JAPANESE, "Yamada^Tarou=山田^太郎", "ISO_IR 192", False),
    "extension alone": (b"ISO 2022 IR 87", b"Yamada^Tarou=" + JAPANESE, "Yamada^Tarou=山田^太郎", "ISO_IR 192", False),
    "katakana": (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=" + JAPANESE,
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        "ISO_IR 192",
        False,
    ),
    "korean": (
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
        "Hong^Gildong=洪^吉洞",
        "ISO_IR 192",
        False,
    ),
    "chinese": (b"GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东", "ISO_IR 192", False),
    "underline": (b"ISO_IR_100", "Müller".encode("latin-1"), "Müller", "ISO_IR 100", True),
    "blanks": (b"ISO_IR 100  ", "Müller".encode("latin-1"), "Müller", "ISO_IR 100", False),
    "another name": (b"ISO-8859-1", "Müller".encode("latin-1"), "Müller", "ISO_IR 100", True),
    "utf8": (b"utf8", "Müller^Ñ".encode(), "Müller^Ñ", "ISO_IR 192", True),
    "misspelt extension": (b"\\ISO_2022_IR_87", b"Yamada=" + JAPANESE, "Yamada=山田^太郎", "ISO_IR 192", True),
    "unknown, ASCII": (b"KLINGON", b"Doe^Jane", "Doe^Jane", None, True),
    "no bytes of it, but UTF-8": (b"", "Müller".encode(), "Müller", "ISO_IR 192", False),
    "two that exclude each other": (b"ISO_IR 192\\ISO_IR 100", "Müller".encode(), "Müller", "ISO_IR 192", False),
}


@pytest.mark.parametrize("name", TEST_CASE_CHARSETS)
def test_character_sets(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    charset, raw, expected, kept, told = TEST_CASE_CHARSETS[name]
    write_series(tmp_path / "s", shape=SMALL)
    for path in (tmp_path / "s").iterdir():
        set_raw(path, PatientName=raw, PatientID=b"P 7", StudyDescription=raw.split(b"=")[0])
        set_raw(path, SpecificCharacterSet=charset)
    seg, log = written(tmp_path, caplog)
    assert str(seg.PatientName) == expected
    assert seg.get("SpecificCharacterSet") == kept
    assert seg.StudyDescription == expected.split("=")[0]
    assert ("SpecificCharacterSet (0008,0005) holds" in log) == told
    assert len(caplog.records) == told


@pytest.mark.parametrize("charset", [b"", b"KLINGON", b"ISO_IR 6", b"ISO_IR 999"])
def test_bytes_without_a_meaning_are_left_out(tmp_path: Path, charset: bytes, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "s", shape=SMALL)
    for path in (tmp_path / "s").iterdir():
        set_raw(path, PatientName="Müller".encode("latin-1"), PatientID=b"7")
        set_raw(path, SpecificCharacterSet=charset)
    seg, log = written(tmp_path, caplog)
    assert (str(seg.PatientName), seg.PatientID) == ("", "7")
    assert log.count("PatientName (0010,0010) holds no valid value; in the DICOM SEG it is left empty") == 1


def test_names_of_classes_that_are_no_ascii(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "s", shape=SMALL)
    seg, _ = written(tmp_path, caplog, ["background", "Größe 肝臓"])
    assert seg.SegmentSequence[0].SegmentLabel == "Größe 肝臓"
    assert seg.SpecificCharacterSet == "ISO_IR 192"


TEST_CASE_THICKNESS: dict[str, tuple[bytes | None, float, str]] = {
    "given": (b"3", 3, ""),
    "missing": (None, 2.5, "is missing or empty; the DICOM SEG takes the distance of the slices, 2.5 mm"),
    "empty": (b"", 2.5, "is missing or empty"),
    "with a unit": (b"5mm", 2.5, "is '5mm', no thickness"),
    "zero": (b"0", 2.5, "is '0', no thickness"),
    "negative": (b"-2", 2.5, "is '-2', no thickness"),
    "comma": (b"3,5", 3.5, ""),
}


@pytest.mark.parametrize("name", TEST_CASE_THICKNESS)
def test_slice_thickness(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    raw, expected, message = TEST_CASE_THICKNESS[name]
    write_series(tmp_path / "s", shape=SMALL)
    for path in (tmp_path / "s").iterdir():
        if raw is None:
            edit(path, SliceThickness=None)
        else:
            set_raw(path, SliceThickness=raw)
    seg, log = written(tmp_path, caplog)
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (measures.SliceThickness, measures.SpacingBetweenSlices) == (expected, 2.5)
    assert len(caplog.records) == bool(message)
    if message:
        assert f"{tmp_path / 's' / 'f00'}: SliceThickness (0018,0050) {message}" in log


TEST_CASE_UIDS: dict[str, tuple[str, list[bytes], str]] = {
    "study, letters": ("StudyInstanceUID", [b"1.2.abc"], "is '1.2.abc', no valid one"),
    "series, leading zero": ("SeriesInstanceUID", [b"1.2.03"], "is '1.2.03', no valid one"),
    "study, too long": ("StudyInstanceUID", [b"1." * 35 + b"1"], "no valid one"),
    "frame, dash": ("FrameOfReferenceUID", [b"1.2-3"], "is '1.2-3', no valid one"),
    "frame of every slice": ("FrameOfReferenceUID", [b"1.2.1", b"1.2.2", b"1.2.3", b"1.2.4"], "has 4 values"),
    "study, several": ("StudyInstanceUID", [b"1.2.1", b"1.2.1", b"1.2.1", b"1.2.4"], "has 2 values"),
    "study, empty": ("StudyInstanceUID", [b""], "is missing"),
}


@pytest.mark.parametrize("name", TEST_CASE_UIDS)
def test_identifiers(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    element, values, message = TEST_CASE_UIDS[name]
    write_series(tmp_path / "s", shape=SMALL)
    for k, path in enumerate(sorted((tmp_path / "s").iterdir())):
        set_raw(path, **{element: values[k % len(values)]})
    seg, log = written(tmp_path, caplog)
    lines = [line for line in log.splitlines() if element in line]
    assert len(lines) == 1
    assert message in lines[0]
    if element != "SeriesInstanceUID":
        assert UID.fullmatch(seg[element].value)
    again, _ = written(tmp_path, caplog)
    assert again.StudyInstanceUID == seg.StudyInstanceUID
    assert again.FrameOfReferenceUID == seg.FrameOfReferenceUID


@pytest.mark.parametrize("values", [[b"1.2_1", b"1.2_2", b"1.2.3", b"1.2.4"], [b"1.2.9"] * 4])
def test_identifiers_of_instances(tmp_path: Path, values: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "s", shape=SMALL)
    for path, value in zip(sorted((tmp_path / "s").iterdir()), values, strict=True):
        set_raw(path, SOPInstanceUID=value)
    seg, log = written(tmp_path, caplog)
    found = [item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence]
    assert len(set(found)) == 4
    assert all(UID.fullmatch(uid) or uid.encode() in (b"1.2.3", b"1.2.4") for uid in found)
    bad = 4 if values[0] == values[1] else 2
    assert len(caplog.records) == 1
    assert f"SOPInstanceUID (0008,0018) is '{values[0].decode()}', " in log or bad == 2
    assert f"({bad} of 4 files)" in log


def test_other_elements_do_not_matter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_series(tmp_path / "s", shape=SMALL)
    for path in (tmp_path / "s").iterdir():
        set_raw(path, SeriesDate=b"yesterday", ContentTime=b"noon", KVP=b"high", AcquisitionNumber=b"1a")
        set_raw(path, Manufacturer=b"A\\B", StationName=b"x" * 20, LossyImageCompression=b"1")
    seg, log = written(tmp_path, caplog)
    assert (seg.Manufacturer, seg.LossyImageCompression) == ("sa2_monai", "00")
    assert log.count("it is left out") == len(caplog.records) == 3


def test_storage_class_that_nothing_refers_to(tmp_path: Path) -> None:
    write_series(tmp_path / "s", shape=SMALL)
    for path in (tmp_path / "s").iterdir():
        edit(path, SOPClassUID="1.2.826.0.1.3680043.2.1125.1")
    with pytest.raises(ValueError, match=r"SOPClassUID \(0008,0016\) is 1\.2\.826.*use the NIfTI label map"):
        write_dicom_seg(np.zeros(SMALL, np.uint8), tmp_path / "s", tmp_path / "a.dcm", ["background", "a"])


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_seg_of_a_multiframe_image(tmp_path: Path, order: list[int], caplog: pytest.LogCaptureFixture) -> None:
    write_multiframe(tmp_path / "s" / "m.dcm", shape=SMALL, order=order)
    seg, _ = written(tmp_path, caplog)
    assert not caplog.records
    assert (str(seg.PatientName), seg.StudyInstanceUID) == ("Test^Case", f"{ROOT}.0")
    frames = {}
    for item in seg.PerFrameFunctionalGroupsSequence:
        source = item.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == f"{ROOT}.5.1"
        position = item.PlanePositionSequence[0].ImagePositionPatient[2]
        frames[(float(position) - 30) / 2.5] = source.ReferencedFrameNumber
    assert frames == {1: order.index(1) + 1, 2: order.index(2) + 1}


def test_seg_of_several_multiframe_images(tmp_path: Path) -> None:
    write_multiframe(tmp_path / "s" / "1", shape=SMALL, order=[0, 1])
    write_multiframe(tmp_path / "s" / "2", shape=SMALL, order=[2, 3], SOPInstanceUID=f"{ROOT}.5.2")
    assert read_volume(tmp_path / "s").array.shape == SMALL
    with pytest.raises(ValueError, match="the series is 2 multi-frame images, expected one"):
        write_dicom_seg(np.zeros(SMALL, np.uint8), tmp_path / "s", tmp_path / "a.dcm", ["background", "a"])


TYPES = ("CS", "DA", "TM", "DT", "AS", "IS", "DS", "UI", "PN", "LO", "SH", "ST", "LT")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(TYPES), st.text(max_size=70))
def test_what_is_cleaned_is_valid(vr: str, text: str) -> None:
    from pydicom import config
    from pydicom.valuerep import validate_value

    value = clean_text("Any", vr, text)
    if value:
        validate_value(vr, value, config.RAISE)
        assert clean_text("Any", vr, value) == value


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=40), st.sampled_from([b"", b"ISO_IR 100", b"\\ISO 2022 IR 87", b"GB18030", b"x", b"utf-8"]))
def test_any_bytes_are_text(raw: bytes, charset: bytes) -> None:
    text, readable = decode_text(raw, read_charsets(charset)[0])
    assert isinstance(text, str)
    assert "\ufffd" not in text or not readable
