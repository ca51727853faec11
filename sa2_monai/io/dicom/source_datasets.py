# SPDX-License-Identifier: Apache-2.0
"""Headers of a source series, complete enough to be referred to by a DICOM SEG."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from sa2_monai.io.dicom.series import DicomSeries

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_source_datasets"]

logger = logging.getLogger(__name__)

# Identifiers that a SEG copies from its source. Anonymisation empties them in some archives.
_SHARED = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# May be empty in DICOM, but not absent.
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def read_source_datasets(series: DicomSeries) -> list[Dataset]:
    """Headers of a series, without pixels, in the order of its positions.

    Empty SOP identifiers are taken from the meta information of the file; empty study, series and frame of reference
    identifiers are made from the SOP identifiers (the same for the same files) with a warning, because a viewer will
    not find the source by them.

    Args:
        series: the series.

    Raises:
        ValueError: an instance has no SOP identifier at all.
    """
    import pydicom

    datasets: list[Dataset] = []
    for item in series.slices:
        dataset = pydicom.dcmread(item.path, stop_before_pixels=True, force=True)
        for tag, meta in (
            ("SOPClassUID", "MediaStorageSOPClassUID"),
            ("SOPInstanceUID", "MediaStorageSOPInstanceUID"),
        ):
            if not dataset.get(tag):
                value = dataset.file_meta.get(meta)
                if not value:
                    raise ValueError(f"{item.path}: has no {tag}, so nothing can refer to it; export the series again")
                setattr(dataset, tag, value)
        for tag in _MAY_BE_EMPTY:
            if tag not in dataset:
                setattr(dataset, tag, "")
        # The slices agree up to rounding (checked), and a SEG has one orientation and one spacing.
        for tag in ("ImageOrientationPatient", "PixelSpacing"):
            setattr(dataset, tag, getattr(datasets[0] if datasets else dataset, tag))
        datasets.append(dataset)
    for tag in _SHARED:
        if not all(dataset.get(tag) for dataset in datasets):
            logger.warning(
                "%s: the series has no %s (anonymised?); the DICOM SEG gets one of its own", series.folder, tag
            )
            uid = _uid(tag, [str(dataset.SOPInstanceUID) for dataset in datasets])
            for header in datasets:
                setattr(header, tag, uid)
    return datasets


def _uid(tag: str, instances: list[str]) -> str:
    digest = hashlib.sha256("\n".join([tag, *sorted(instances)]).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
