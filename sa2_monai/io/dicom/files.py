# SPDX-License-Identifier: Apache-2.0
"""DICOM files of a folder and the elements of their headers that the order and the values of slices depend on.

Headers are read by pydicom, which keeps numbers and texts as they stand in the file; one pass over a folder serves the
listing of its series as well as their reading.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.dicom.kinds import no_image
from sa2_monai.io.dicom.lengths import check_lengths
from sa2_monai.io.dicom.packages import quiet_pydicom
from sa2_monai.io.dicom.slices import DicomSlice, slice_of
from sa2_monai.io.problems import Problems

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["dicom_files", "is_dicom", "is_multiframe", "is_series", "read_dataset", "read_header", "read_slices"]

# Elements of group 0008 that an image may begin with, as bytes: length, character set, image type, date, time, class.
_FIRST = (b"\x00\0", b"\x01\0", b"\x05\0", b"\x08\0", b"\x12\0", b"\x13\0", b"\x16\0")
_SUFFIXES = (".dcm", ".dicom", ".ima")
_TAGS = [
    "SpecificCharacterSet",
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesDescription",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "ModalityLUTSequence",
    "Units",
]
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # the element PixelData in either order of bytes


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


def is_series(path: str | os.PathLike[str]) -> bool:
    """Whether a volume is a DICOM series: a folder, or a file that is DICOM by its content.

    Args:
        path: an existing folder or file.
    """
    return os.path.isdir(path) or is_dicom(path)


def is_multiframe(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a DICOM image of several frames, so that it may be a volume by itself.

    Args:
        path: an existing file.
    """
    if not is_dicom(path):
        return False
    try:
        header = read_header(Path(path))
    except ValueError:
        return False
    return header.kind == "" and header.frames > 1


def dicom_files(source: Path) -> Iterator[Path]:
    """DICOM files of a folder, not of its sub-folders, in the order of their names; hidden ones are left out.

    Files that are no DICOM are left out, too, unless their suffix or their emptiness says that they should be; links
    that lead nowhere are not, because a slice may be missing there.

    Args:
        source: an existing folder, or one file.
    """
    for path in [source] if source.is_file() else sorted(source.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_file():
            if path.is_symlink() and not path.exists():
                yield path
        elif is_dicom(path) or path.suffix.lower() in _SUFFIXES or path.stat().st_size == 0:
            yield path


def read_header(path: Path) -> DicomSlice:
    """Header of one file.

    Args:
        path: the file.

    Returns:
        What is needed of it; ``kind`` says what it is when it is no image.

    Raises:
        ValueError: damaged or truncated.
    """
    if not path.exists():
        raise ValueError(f"{path.name}: a link that leads nowhere")
    size = path.stat().st_size
    try:
        if not is_dicom(path):
            raise ValueError("no DICOM")
        check_lengths(path)
        with open(path, "rb") as file, quiet_pydicom():
            header = _read(file, _TAGS)
            item = slice_of(path, header)
            # A deflated file is unpacked in memory, so that nothing is known of the place of its pixels.
            deflated = str(header.file_meta.get("TransferSyntaxUID", "")) == _DEFLATED
            pixels = None if deflated else file.read(12)
            position = file.tell()
    except Exception as error:  # pydicom lets through what struct, zlib and its parser raise
        raise_if_memory(error, path)
        raise ValueError(f"{path.name}: {size} bytes, cannot be read") from error
    if item.kind:
        return item
    found = pixels is None or pixels[:4] in _PIXELS
    if not found or not item.size[0] or not item.size[1]:
        kind = no_image(item.storage_class, item.modality, has_pixels=False)
        if kind:
            return item.with_kind(kind)
        raise ValueError(f"{path.name}: {size} bytes, ends before its pixels")
    # The head of the element takes 12 bytes, or 8 of those that were read where the types of values are implicit.
    promised = item.bytes_of_pixels
    if not item.compressed and pixels is not None and size - position < promised - 4:
        raise ValueError(
            f"{path.name}: {size} bytes, but {item.size[0]} x {item.size[1]} pixels in {item.frames} frame(s) take "
            f"{promised}"
        )
    return item


def read_slices(source: Path) -> list[DicomSlice]:
    """Headers of all DICOM files of a folder, also of those that are no images (``kind`` says so).

    Args:
        source: an existing folder, or one file.

    Raises:
        ValueError: a file that should be an image is damaged or truncated; all of them are named.
    """
    problems = Problems(str(source))
    slices = []
    for path in dicom_files(source):
        try:
            slices.append(read_header(path))
        except ValueError as error:
            problems.add("damaged or truncated DICOM files", str(error), "copy the series again")
    problems.raise_if_any()
    return slices


def read_dataset(path: Path) -> Dataset:
    """All of a header, without the pixels.

    Args:
        path: a file that :func:`read_header` has passed.
    """
    with open(path, "rb") as file, quiet_pydicom():
        return _read(file, None)


def _read(file: Any, tags: list[str] | None) -> Any:
    import pydicom

    return pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
