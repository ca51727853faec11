# SPDX-License-Identifier: Apache-2.0
"""Small DICOM series and multi-frame images written with pydicom, for the tests of reading and of DICOM SEG.

Why: the expected array and affine are computed here, from the standard, by other code than that which is tested.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

from sa2_monai.io.dicom.packages import quiet_pydicom

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
ROOT = "1.2.826.0.1.3680043.10.9999"
SHAPE = (32, 24, 6)  # columns, rows, slices
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def rotation(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    """Rotation matrix of angles in degrees."""
    out = np.eye(3)
    for axis, angle in enumerate((x, y, z)):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
        out = turn @ out
    return out


def write_series(
    folder: Path,
    orientation: tuple[float, ...] | np.ndarray = AXIAL,
    step: tuple[float, ...] | np.ndarray | None = None,
    spacing: tuple[float, float] = (0.8, 0.7),
    thickness: float = 2.5,
    modality: str = "CT",
    seed: int = 0,
    series: int = 1,
    numbers: list[int] | None = None,
    shape: tuple[int, int, int] = SHAPE,
    **tags: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Write a series and return its array (column, row, slice) and affine (RAS), computed here.

    ``step`` is the vector from slice to slice, LPS; ``None``: ``thickness`` along the normal. ``numbers`` are the
    instance numbers by position. ``tags`` are set in every instance; ``None`` deletes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cosines = np.asarray(orientation, float)
    normal = np.cross(cosines[:3], cosines[3:])
    vector = normal * thickness if step is None else np.asarray(step, float)
    origin = np.array([-10.0, -20.0, 30.0])
    columns, rows, count = shape
    stored = np.random.default_rng(seed).integers(0, 3000, (count, rows, columns)).astype(np.uint16)
    stored[:, 0, 0] = 0  # air
    numbers = numbers or list(range(1, count + 1))
    for k in range(count):
        uid = f"{ROOT}.{series}.{k + 1}"
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
        meta.MediaStorageSOPInstanceUID = uid
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, uid
        file.PatientName, file.PatientID, file.PatientBirthDate, file.PatientSex = "Test^Case", "7", "", ""
        file.StudyInstanceUID, file.SeriesInstanceUID = f"{ROOT}.0", f"{ROOT}.{series}"
        file.StudyID, file.StudyDate, file.StudyTime, file.AccessionNumber = "1", "20200101", "120000", ""
        file.ReferringPhysicianName = ""
        file.FrameOfReferenceUID = f"{ROOT}.9"
        file.Modality, file.SeriesDescription, file.SeriesNumber = modality, f"series {series}", series
        file.InstanceNumber = numbers[k]
        file.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        file.Rows, file.Columns, file.SamplesPerPixel = rows, columns, 1
        file.PhotometricInterpretation = "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
        file.PixelSpacing = [f"{value:.10g}" for value in spacing]
        file.SliceThickness = "5"  # not the distance of the slices
        file.ImageOrientationPatient = [f"{value:.12g}" for value in cosines]
        file.ImagePositionPatient = [f"{value:.10g}" for value in origin + k * vector]
        if modality == "CT":
            file.RescaleSlope, file.RescaleIntercept = "1", "-1024"
        for name, value in tags.items():
            if value is None:
                delattr(file, name)
            else:
                setattr(file, name, value)
        file.PixelData = stored[k].tobytes()
        file.save_as(folder / f"{chr(ord('f') - k % 6)}{k:02d}", enforce_file_format=True)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = cosines[:3] * spacing[1], cosines[3:] * spacing[0]
    affine[:3, 2], affine[:3, 3] = vector, origin
    array = stored.astype(np.int16).T - (1024 if modality == "CT" else 0)
    return array, LPS_TO_RAS @ affine


def tilted(angle: float, thickness: float = 2.5) -> dict[str, Any]:
    """Axial table movement, slices turned about the left-right axis: what a gantry tilt gives."""
    turned = rotation(x=angle)
    return {
        "orientation": np.r_[turned[:, 0], turned[:, 1]],
        "step": (0.0, 0.0, thickness / np.cos(np.radians(angle))),
    }


def edit(path: Path, **tags: Any) -> None:
    """Set elements of a file; ``None`` deletes."""
    file = pydicom.dcmread(path)
    for name, value in tags.items():
        if value is None:
            if name in file:
                delattr(file, name)
        else:
            setattr(file, name, value)
    file.save_as(path)


def set_raw(path: Path, **values: bytes) -> None:
    """Set elements to bytes, valid or not, as other programs write them."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    with quiet_pydicom():
        file = pydicom.dcmread(path)
        for name, value in values.items():
            tag = Tag(tag_for_keyword(name))
            padded = value + b" " * (len(value) % 2)
            file[tag] = RawDataElement(tag, dictionary_VR(tag), len(padded), padded, 0, False, True)
        # Else pydicom would decode and encode all texts again.
        file.set_original_encoding(False, True, file._character_set)
        file.save_as(path)


def set_stored(path: Path, stored: np.ndarray, **tags: Any) -> None:
    """Replace the pixels of a file: stored values (row, column) of the type that the header shall have."""
    bits = tags.pop("BitsStored", stored.dtype.itemsize * 8)
    edit(
        path,
        Rows=stored.shape[-2],
        Columns=stored.shape[-1],
        BitsAllocated=stored.dtype.itemsize * 8,
        BitsStored=bits,
        HighBit=tags.pop("HighBit", bits - 1),
        PixelRepresentation=int(stored.dtype.kind == "i"),
        PixelData=stored.tobytes() + b"\0" * (stored.nbytes % 2),
        **tags,
    )


def group(**parts: dict[str, Any]) -> Dataset:
    """Functional groups: ``{sequence: {element: value}}``."""
    item = Dataset()
    for name, elements in parts.items():
        part = Dataset()
        for element, value in elements.items():
            setattr(part, element, value)
        setattr(item, name, [part])
    return item


def write_multiframe(
    path: Path,
    modality: str = "CT",
    order: list[int] | None = None,
    shape: tuple[int, int, int] = SHAPE,
    thickness: float = 2.5,
    seed: int = 0,
    per_frame: list[dict[str, dict[str, Any]]] | None = None,
    **tags: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Write an enhanced multi-frame image and return its array (column, row, slice) and affine (RAS).

    ``order`` are the slices by frame, so that a slice may come several times; ``per_frame`` are more functional groups
    of the frames. Every frame has a rescale intercept of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    columns, rows, count = shape
    order = order or list(range(count))
    stored = np.random.default_rng(seed).integers(0, 3000, (count, rows, columns)).astype(np.uint16)
    stored[:, 0, 0] = 0
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = EnhancedCTImageStorage if modality == "CT" else EnhancedMRImageStorage
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.5.1"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.PatientName, file.PatientID, file.PatientBirthDate, file.PatientSex = "Test^Case", "7", "", ""
    file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = f"{ROOT}.0", f"{ROOT}.5", f"{ROOT}.9"
    file.Modality, file.SeriesNumber, file.SeriesDescription, file.InstanceNumber = modality, 5, "enhanced", 1
    file.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    file.Rows, file.Columns, file.SamplesPerPixel, file.NumberOfFrames = rows, columns, 1, len(order)
    file.PhotometricInterpretation = "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.SharedFunctionalGroupsSequence = [
        group(
            PlaneOrientationSequence={"ImageOrientationPatient": list(AXIAL)},
            PixelMeasuresSequence={"PixelSpacing": [0.8, 0.7], "SliceThickness": 3},
        )
    ]
    frames = []
    for frame, k in enumerate(order):
        more = per_frame[frame] if per_frame else {}
        frames.append(
            group(
                PlanePositionSequence={"ImagePositionPatient": [-10, -20, 30 + k * thickness]},
                PixelValueTransformationSequence={
                    "RescaleSlope": 1,
                    "RescaleIntercept": -1024 - k,
                    "RescaleType": "HU" if modality == "CT" else "US",
                },
                **more,
            )
        )
    file.PerFrameFunctionalGroupsSequence = frames
    for name, value in tags.items():
        setattr(file, name, value)
    file.PixelData = stored[order].tobytes()
    file.save_as(path, enforce_file_format=True)
    affine = np.diag([-0.7, -0.8, thickness, 1.0])
    affine[:3, 3] = 10, 20, 30
    return stored.astype(np.int16).T - 1024 - np.arange(count, dtype=np.int16), affine
