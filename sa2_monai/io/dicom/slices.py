# SPDX-License-Identifier: Apache-2.0
"""One slice of a series: the elements of its header as plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.dicom.charsets import decode_text, read_charsets
from sa2_monai.io.dicom.kinds import no_image

__all__ = ["DicomSlice", "numbers_of", "raw_of", "rescale_of", "slice_of", "text_of"]

_UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")


@dataclass(frozen=True)
class DicomSlice:
    """Elements of one instance, or of one frame; geometry is ``None`` where it is missing or not valid.

    Attributes:
        path: the file.
        kind: empty for an image, else what it is: ``SEG``, ``SR``, ...
        storage_class: SOPClassUID.
        uid: SOPInstanceUID.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID, may be empty in anonymised files.
        series_number: SeriesNumber as text.
        description: SeriesDescription.
        modality: ``CT``, ``MR``, ...
        localizer: ImageType says LOCALIZER.
        number: InstanceNumber as text; only for messages, never for sorting.
        frames: number of frames of the file.
        frame: which of them this is, from 0.
        samples: samples per pixel.
        size: (columns, rows).
        position: ImagePositionPatient, LPS, millimetres.
        orientation: ImageOrientationPatient: direction of a row (three numbers), then of a column.
        spacing: PixelSpacing: between rows, between columns, millimetres.
        other_spacing: name of an element that holds a spacing which is not that in the patient, else empty.
        frame_of_reference: FrameOfReferenceUID.
        slope: RescaleSlope; ``None`` where it is missing.
        intercept: RescaleIntercept; ``None`` where it is missing.
        bad_rescale: RescaleSlope or RescaleIntercept as they stand, where they are no usable numbers.
        rescale_type: RescaleType.
        lookup_table: a ModalityLUTSequence is there.
        units: Units (PET).
        photometric: PhotometricInterpretation.
        allocated: BitsAllocated.
        bits: BitsStored.
        high_bit: HighBit.
        signed: PixelRepresentation is 1.
        compressed: by its transfer syntax.
        enhanced: its place stands in functional groups.
    """

    path: Path
    kind: str
    storage_class: str
    uid: str
    study_uid: str
    series_uid: str
    series_number: str
    description: str
    modality: str
    localizer: bool
    number: str
    frames: int
    frame: int
    samples: int
    size: tuple[int, int]
    position: np.ndarray | None
    orientation: np.ndarray | None
    spacing: np.ndarray | None
    other_spacing: str
    frame_of_reference: str
    slope: float | None
    intercept: float | None
    bad_rescale: str
    rescale_type: str
    lookup_table: bool
    units: str
    photometric: str
    allocated: int
    bits: int
    high_bit: int
    signed: bool
    compressed: bool
    enhanced: bool = False

    @property
    def name(self) -> str:
        """File name and instance number, or frame, for messages."""
        if self.frames > 1:
            return f"{self.path.name} (frame {self.frame + 1})"
        return f"{self.path.name} (instance {self.number or '?'})"

    @property
    def bytes_of_pixels(self) -> int:
        """Bytes that the uncompressed pixels of the file take."""
        return -(-self.size[0] * self.size[1] * self.samples * self.frames * self.allocated // 8)

    def with_kind(self, kind: str) -> DicomSlice:
        """The same as an object that is no image."""
        return replace(self, kind=kind)


def slice_of(path: Path, header: Any) -> DicomSlice:
    """Elements of a header.

    Args:
        path: the file, for messages.
        header: data set of pydicom, freshly read, so that its texts are still bytes.
    """
    charsets, _ = read_charsets(raw_of(header, "SpecificCharacterSet"))
    meta = header.file_meta
    storage_class = text_of(header, "SOPClassUID") or str(meta.get("MediaStorageSOPClassUID", ""))
    modality = text_of(header, "Modality").upper()
    spacing = numbers_of(header, "PixelSpacing", 2)
    slope, intercept, bad_rescale = rescale_of(header)
    allocated = _whole(header, "BitsAllocated", 16)
    bits = _whole(header, "BitsStored", allocated)
    frames = numbers_of(header, "NumberOfFrames", 1)
    others = ("ImagerPixelSpacing", "NominalScannedPixelSpacing")
    return DicomSlice(
        path=path,
        kind=no_image(storage_class, modality),
        storage_class=storage_class,
        uid=text_of(header, "SOPInstanceUID") or str(meta.get("MediaStorageSOPInstanceUID", "")),
        study_uid=text_of(header, "StudyInstanceUID"),
        series_uid=text_of(header, "SeriesInstanceUID"),
        series_number=text_of(header, "SeriesNumber"),
        description=decode_text(raw_of(header, "SeriesDescription"), charsets)[0],
        modality=modality,
        localizer="LOCALIZER" in text_of(header, "ImageType").upper().split("\\"),
        number=text_of(header, "InstanceNumber"),
        frames=1 if frames is None else max(1, int(frames[0])),
        frame=0,
        samples=_whole(header, "SamplesPerPixel", 1),
        size=(_whole(header, "Columns", 0), _whole(header, "Rows", 0)),
        position=numbers_of(header, "ImagePositionPatient", 3),
        orientation=numbers_of(header, "ImageOrientationPatient", 6),
        spacing=spacing,
        other_spacing="" if spacing is not None else next((tag for tag in others if raw_of(header, tag)), ""),
        frame_of_reference=text_of(header, "FrameOfReferenceUID"),
        slope=slope,
        intercept=intercept,
        bad_rescale=bad_rescale,
        rescale_type=text_of(header, "RescaleType"),
        lookup_table=bool(header.get("ModalityLUTSequence")),
        units=text_of(header, "Units"),
        photometric=text_of(header, "PhotometricInterpretation").upper(),
        allocated=allocated,
        bits=bits,
        high_bit=_whole(header, "HighBit", bits - 1),
        signed=_whole(header, "PixelRepresentation", 0) == 1,
        compressed=str(meta.get("TransferSyntaxUID", _UNCOMPRESSED[0])).strip(" \0") not in _UNCOMPRESSED,
    )


def raw_of(header: Any, name: str) -> bytes:
    """Bytes of an element of text; nothing where it is missing."""
    from pydicom.datadict import tag_for_keyword

    element = header.get_item(tag_for_keyword(name)) if name in header else None
    value = None if element is None else element.value
    if value is None or isinstance(value, bytes):
        return value or b""
    if isinstance(value, str):
        return value.encode()
    return "\\".join(map(str, value) if hasattr(value, "__iter__") else [str(value)]).encode()


def text_of(header: Any, name: str) -> str:
    """Text of an element without padding; parts of several values stay parted by backslashes."""
    return raw_of(header, name).decode("ascii", "replace").strip(" \0")


def numbers_of(header: Any, name: str, count: int) -> np.ndarray | None:
    """Numbers of an element of text, or ``None`` unless it holds ``count`` finite ones."""
    try:
        values = np.array([float(part) for part in text_of(header, name).split("\\")])
    except ValueError:
        return None
    return values if len(values) == count and np.isfinite(values).all() else None


def rescale_of(header: Any) -> tuple[float | None, float | None, str]:
    """RescaleSlope and RescaleIntercept, and what stands there when it cannot be used."""
    found: list[float | None] = []
    bad = []
    for name in ("RescaleSlope", "RescaleIntercept"):
        values = numbers_of(header, name, 1)
        found.append(None if values is None else float(values[0]))
        if (values is None and text_of(header, name)) or (name == "RescaleSlope" and found[0] == 0):
            bad.append(f"{name} '{text_of(header, name)}'")
    return found[0], found[1], ", ".join(bad)


def _whole(header: Any, name: str, default: int) -> int:
    value = header.get(name)
    try:
        return default if value is None or value == "" else int(value)
    except (TypeError, ValueError):
        return default
