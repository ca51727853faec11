# SPDX-License-Identifier: Apache-2.0
"""The series of a folder: their list, the choice of one, and what is left out with a note."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from sa2_monai.data import VolumeReader, case_reader, read_volume, volume_header
from sa2_monai.io.dicom.files import is_dicom, is_multiframe, is_series
from sa2_monai.io.dicom.listing import SeriesInfo, series_in
from sa2_monai.io.dicom.series import find_series
from tests.support.dicom_files import ROOT, edit, set_raw, write_multiframe, write_series


def several(folder: Path) -> dict[int, np.ndarray]:
    """CT 1 and 12 and MR 3 in one folder; arrays by number."""
    arrays = {}
    for number, modality, description in (
        (1, "CT", "Abdomen portal"),
        (12, "CT", "Lunge 3 axial"),
        (3, "MR", "T2 tra"),
    ):
        made = folder.with_name("made")
        arrays[number], _ = write_series(
            made, series=number, seed=number, modality=modality, SeriesDescription=description
        )
        folder.mkdir(exist_ok=True)
        for path in list(made.iterdir()):
            path.rename(folder / f"{number:02d}{path.name}")
    return arrays


TEST_CASE_CHOICE: dict[str, tuple[str | int, int]] = {
    "uid": (f"{ROOT}.1", 1),
    "number": ("12", 12),
    "number, as a number": (12, 12),
    "number with zeros": ("003", 3),
    "number before description": ("3", 3),
    "modality": ("MR", 3),
    "modality in small letters": ("mr", 3),
    "description": ("Abdomen portal", 1),
    "part of the description in another case": ("LUNGE", 12),
    "words around it": ("  t2 ", 3),
}


@pytest.mark.parametrize("name", TEST_CASE_CHOICE)
def test_choice(tmp_path: Path, name: str) -> None:
    arrays = several(tmp_path / "s")
    wanted, number = TEST_CASE_CHOICE[name]
    volume = read_volume(tmp_path / "s", series=wanted)
    assert np.array_equal(volume.array, arrays[number])
    assert volume.header.series_uid == volume_header(tmp_path / "s", series=wanted).series_uid == f"{ROOT}.{number}"
    for reader in (
        VolumeReader(series=wanted),
        case_reader("volumes", series=wanted),
        VolumeReader(series_uid=str(wanted)),
    ):
        array, meta = reader.get_data(reader.read(tmp_path / "s"))
        assert np.array_equal(array, arrays[number])
        assert meta["series_uid"] == f"{ROOT}.{number}"


TEST_CASE_NO_CHOICE: dict[str, tuple[str, str]] = {
    "nothing wanted": ("", "holds 3 series, expected one"),
    "two of the modality": ("CT", "holds 2 series that 'CT' may mean, expected one"),
    "two of the description": ("a", "holds 3 series that 'a' may mean"),
    "unknown": ("1.2.3", r"has no series 1\.2\.3; it has"),
    "unknown number": ("4", "has no series 4; it has"),
}


@pytest.mark.parametrize("name", TEST_CASE_NO_CHOICE)
def test_no_choice_lists_the_candidates(tmp_path: Path, name: str) -> None:
    several(tmp_path / "s")
    wanted, message = TEST_CASE_NO_CHOICE[name]
    with pytest.raises(ValueError, match=message) as error:
        read_volume(tmp_path / "s", series=wanted)
    assert f"\n    {ROOT}.1: number 1, CT, 'Abdomen portal', 6 images" in str(error.value)
    assert ("'T2 tra'" in str(error.value)) == (name != "two of the modality")


def test_one_series_that_is_not_the_wanted_one(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    assert read_volume(tmp_path / "s", series="CT").header.series_uid == f"{ROOT}.1"
    with pytest.raises(ValueError, match=r"has no series MR; it has\n    .*'series 1', 6 images"):
        read_volume(tmp_path / "s", series="MR")


def test_description_in_another_character_set(tmp_path: Path) -> None:
    write_series(tmp_path / "s", SpecificCharacterSet="ISO_IR 100")
    for path in list((tmp_path / "s").iterdir()):
        set_raw(path, SeriesDescription="Schädel".encode("latin-1"))
        path.rename(path.with_name(f"a{path.name}"))
    write_series(tmp_path / "s", series=2)
    assert read_volume(tmp_path / "s", series="SCHÄDEL").header.series_uid == f"{ROOT}.1"


# What lies beside the slices in folders of archives: storage class, modality, elements that it does not have.
NO_PIXELS = ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
TEST_CASE_NO_IMAGES: dict[str, tuple[str, str, bool, str]] = {
    "report": ("1.2.840.10008.5.1.4.1.1.88.11", "SR", False, "1 SR"),
    "dose report": ("1.2.840.10008.5.1.4.1.1.88.67", "SR", False, "1 SR"),
    "key objects": ("1.2.840.10008.5.1.4.1.1.88.59", "KO", False, "1 KO"),
    "presentation state": ("1.2.840.10008.5.1.4.1.1.11.1", "PR", False, "1 PR"),
    "segmentation": ("1.2.840.10008.5.1.4.1.1.66.4", "SEG", True, "1 SEG"),
    "label map": ("1.2.840.10008.5.1.4.1.1.66.7", "SEG", True, "1 SEG"),
    "structures": ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", False, "1 RTSTRUCT"),
    "dose": ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE", True, "1 RTDOSE"),
    "plan": ("1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN", False, "1 RTPLAN"),
    "waveform": ("1.2.840.10008.5.1.4.1.1.9.1.1", "ECG", False, "1 WAVEFORM"),
    "registration": ("1.2.840.10008.5.1.4.1.1.66.1", "REG", False, "1 REG"),
    "raw data": ("1.2.840.10008.5.1.4.1.1.66", "CT", False, "1 RAW"),
    "document": ("1.2.840.10008.5.1.4.1.1.104.1", "DOC", False, "1 DOC"),
    "private, by its modality": ("1.2.826.0.1.9", "SEG", True, "1 SEG"),
    "private, without pixels": ("1.3.12.2.1107.5.9.1", "MR", False, "1 MR"),
}


@pytest.mark.parametrize("name", TEST_CASE_NO_IMAGES)
def test_what_is_no_image_is_left_out_with_a_note(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "s"
    array, _ = write_series(folder)
    storage_class, modality, has_pixels, note = TEST_CASE_NO_IMAGES[name]
    other = pydicom.dcmread(next(folder.iterdir()))
    other.file_meta.MediaStorageSOPClassUID = other.SOPClassUID = storage_class
    other.Modality, other.SeriesInstanceUID, other.SeriesDescription = modality, f"{ROOT}.77", "other"
    for element in () if has_pixels else NO_PIXELS:
        delattr(other, element)
    other.save_as(folder / "other")
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(read_volume(folder).array, array)
    assert f"{folder}: skipped: {note}" in caplog.text
    assert sorted(series_in(folder))[1] == SeriesInfo(f"{ROOT}.77", "1", modality, "other", 0, 1)
    for path in folder.iterdir():
        if path.name != "other":
            path.unlink()
    with pytest.raises(ValueError, match=rf"holds no DICOM images \(skipped: {note}\)"):
        read_volume(folder)


def test_notes_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "s"
    write_series(folder)
    for k, modality in enumerate(("SR", "SEG", "SR")):
        path = shutil.copy(sorted(folder.iterdir())[0], folder / f"z{k}")
        edit(Path(path), Modality=modality)
    with caplog.at_level(logging.WARNING):
        read_volume(folder)
    assert "skipped: 1 SEG, 2 SR" in caplog.text


def test_other_files_of_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "s"
    array, _ = write_series(folder)
    first = sorted(folder.iterdir())[0]
    edit(Path(shutil.copy(first, folder / "z.dcm")), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (folder / "notes.txt").write_text("hello")
    (folder / "._00.dcm").write_bytes(b"junk of macOS")
    (folder / "sub").mkdir()
    directory = pydicom.dcmread(first)
    directory.file_meta.MediaStorageSOPClassUID = directory.SOPClassUID = "1.2.840.10008.1.3.10"
    directory.save_as(folder / "DICOMDIR")
    assert np.array_equal(read_volume(folder).array, array)
    assert not caplog.records
    (info,) = series_in(folder)
    assert info == SeriesInfo(f"{ROOT}.1", "1", "CT", "series 1", 6, 1)
    assert str(info) == f"{ROOT}.1: number 1, CT, 'series 1', 6 images"


def test_list_of_series(tmp_path: Path) -> None:
    several(tmp_path / "s")
    write_multiframe(tmp_path / "s" / "m.dcm")
    (tmp_path / "s" / "damaged.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"rubbish" * 9)
    found = {int(info.number): (info.uid, info.modality, info.images) for info in series_in(tmp_path / "s")}
    assert found == {
        1: (f"{ROOT}.1", "CT", 6),
        3: (f"{ROOT}.3", "MR", 6),
        5: (f"{ROOT}.5", "CT", 6),
        12: (f"{ROOT}.12", "CT", 6),
    }
    (tmp_path / "e").mkdir()
    assert series_in(tmp_path / "e") == []


def test_what_is_dicom(tmp_path: Path) -> None:
    write_series(tmp_path / "s")
    single = next((tmp_path / "s").iterdir())
    write_multiframe(tmp_path / "m")
    (tmp_path / "text").write_text("no")
    found: dict[str, Any] = {
        path.name: (is_dicom(path), is_multiframe(path), is_series(path))
        for path in (single, tmp_path / "m", tmp_path / "text", tmp_path / "s")
    }
    assert found == {
        single.name: (True, False, True),
        "m": (True, True, True),
        "text": (False, False, False),
        "s": (False, False, True),
    }
    with pytest.raises(ValueError, match=f"is a single DICOM file, expected the folder of its series; give {tmp_path}"):
        find_series(single)
    with pytest.raises(ValueError, match="is a single DICOM file, expected the folder"):
        read_volume(single)
