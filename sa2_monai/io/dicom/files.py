# SPDX-License-Identifier: Apache-2.0
"""DICOM image files of a folder and the tags that their geometry needs, through SimpleITK (GDCM)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.problems import Problems
from sa2_monai.io.utf8_names import utf8_name

__all__ = ["DicomSlice", "image_reader", "is_dicom", "read_slices"]

# Storage classes without pixels, or with pixels that are no slices of a scan: left out of a folder without a word.
# (1.2.840.10008 + the number, or the numbers that begin with it.)
_NO_IMAGES = (
    "1.3.10",  # DICOMDIR
    "5.1.4.1.1.11.",  # presentation states
    "5.1.4.1.1.88.",  # structured reports, key objects
    "5.1.4.1.1.104.",  # encapsulated documents
    "5.1.4.1.1.66",  # raw data, registrations, fiducials, segmentations, surfaces
    "5.1.4.1.1.481.",  # radiotherapy
    "5.1.4.1.1.9.",  # waveforms
)
_DICOM = "1.2.840.10008."
# Elements of group 0008 that an image may begin with, as bytes: length, character set, image type, date, time, class.
_FIRST = (b"\x00\0", b"\x01\0", b"\x05\0", b"\x08\0", b"\x12\0", b"\x13\0", b"\x16\0")
# Segmentations and dose have pixels and are read by GDCM; their modality tells them apart.
_NO_SCAN = ("SEG", "RTDOSE", "PR", "SR", "KO", "DOC", "REG")


@dataclass(frozen=True)
class DicomSlice:
    """Tags of one instance; geometry is ``None`` where the tag is missing or not valid.

    Attributes:
        path: the file.
        series_uid: SeriesInstanceUID, may be empty in anonymised files.
        description: SeriesDescription.
        modality: ``CT``, ``MR``, ...
        localizer: ImageType says LOCALIZER.
        number: InstanceNumber as text; only for messages, never for sorting.
        frames: number of frames; more than one or an enhanced class means multi-frame.
        samples: samples per pixel.
        size: (columns, rows).
        position: ImagePositionPatient, LPS, millimetres.
        orientation: ImageOrientationPatient: direction of a row (three numbers), then of a column.
        spacing: PixelSpacing: between rows, between columns, millimetres.
        frame_of_reference: FrameOfReferenceUID.
        rescaled: RescaleSlope and RescaleIntercept are there.
    """

    path: Path
    series_uid: str
    description: str
    modality: str
    localizer: bool
    number: str
    frames: int
    samples: int
    size: tuple[int, int]
    position: np.ndarray | None
    orientation: np.ndarray | None
    spacing: np.ndarray | None
    frame_of_reference: str
    rescaled: bool

    @property
    def name(self) -> str:
        """File name and instance number, for messages."""
        return f"{self.path.name} (instance {self.number or '?'})"


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a file is DICOM by its content, whatever its name.

    Args:
        path: an existing file.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError:
        return False
    # Files of old programs have no preamble: they begin with an element of group 0008, or 0002, in little endian.
    return start[128:] == b"DICM" or start[:4] == b"\2\0\0\0" or (start[:2] == b"\x08\0" and start[2:4] in _FIRST)


def read_slices(folder: Path) -> list[DicomSlice]:
    """Tags of all image files of a folder (not of its sub-folders), in the order of their names.

    Hidden files, files that are no DICOM, a DICOMDIR, reports, segmentations and other objects that are no slices are
    left out.

    Args:
        folder: an existing folder.

    Raises:
        ValueError: a file that should be an image is damaged or truncated; all of them are named.
    """
    problems = Problems(str(folder))
    slices = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if not is_dicom(path):
            if path.suffix.lower() in (".dcm", ".dicom", ".ima") or path.stat().st_size == 0:
                _add_damaged(problems, path)
            continue
        reader = image_reader(path)
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            if not _no_image(_storage_class(path)):
                _add_damaged(problems, path)
            continue
        found = _slice(path, reader)
        if found.modality not in _NO_SCAN:
            slices.append(found)
    problems.raise_if_any()
    return slices


def image_reader(path: Path) -> Any:
    """SimpleITK reader of one DICOM file, nothing read yet.

    Args:
        path: the file.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(utf8_name(path))
    return reader


def _add_damaged(problems: Problems, path: Path) -> None:
    problems.add(
        "damaged or truncated DICOM files",
        f"{path.name}: {path.stat().st_size} bytes, cannot be read",
        "copy the series again",
    )


def _slice(path: Path, reader: Any) -> DicomSlice:
    keys = set(reader.GetMetaDataKeys())

    def text(tag: str) -> str:
        if tag not in keys:
            return ""
        value = reader.GetMetaData(tag).strip(" \0")
        return value.encode("utf-8", "replace").decode("utf-8")

    def numbers(tag: str, count: int) -> np.ndarray | None:
        try:
            values = np.array([float(part) for part in text(tag).split("\\")])
        except ValueError:
            return None
        return values if len(values) == count and np.isfinite(values).all() else None

    size = reader.GetSize()
    frames = numbers("0028|0008", 1)
    samples = numbers("0028|0002", 1)
    return DicomSlice(
        path=path,
        series_uid=text("0020|000e"),
        description=text("0008|103e"),
        modality=text("0008|0060"),
        localizer="LOCALIZER" in text("0008|0008").upper().split("\\"),
        number=text("0020|0013"),
        frames=int(frames[0]) if frames is not None else max(1, size[2] if len(size) > 2 else 1),
        samples=int(samples[0]) if samples is not None else 1,
        size=(int(size[0]), int(size[1])),
        position=numbers("0020|0032", 3),
        orientation=numbers("0020|0037", 6),
        spacing=numbers("0028|0030", 2),
        frame_of_reference=text("0020|0052"),
        rescaled=numbers("0028|1052", 1) is not None and numbers("0028|1053", 1) is not None,
    )


def _no_image(storage_class: str) -> bool:
    return any(
        storage_class == _DICOM + part.rstrip(".") or storage_class.startswith(_DICOM + part) for part in _NO_IMAGES
    )


def _storage_class(path: Path) -> str:
    """MediaStorageSOPClassUID of a file that GDCM does not read; empty where it cannot be found.

    The group 0002 at the start of a file is always in explicit little endian, so that a few bytes can be parsed here.
    """
    with open(path, "rb") as file:
        block = file.read(1024)
    at = block.find(b"\x02\x00\x02\x00UI", 132)
    if at < 0:
        return ""
    length = int.from_bytes(block[at + 6 : at + 8], "little")
    return block[at + 8 : at + 8 + length].decode("ascii", "replace").strip(" \0")
