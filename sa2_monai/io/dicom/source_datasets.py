# SPDX-License-Identifier: Apache-2.0
"""Headers of a source series as a DICOM SEG needs them: complete, and valid where the source is not."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sa2_monai.io.dicom.files import read_dataset
from sa2_monai.io.dicom.series import DicomSeries
from sa2_monai.io.dicom.slices import DicomSlice, text_of
from sa2_monai.io.dicom.source_elements import copy_elements, tag_text
from sa2_monai.io.dicom.values import clean_text

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_source_datasets"]

logger = logging.getLogger(__name__)

# Identifiers that a SEG copies from its source, and where the slices have them. Anonymisation empties them sometimes.
_SHARED = {
    "StudyInstanceUID": "study_uid",
    "SeriesInstanceUID": "series_uid",
    "FrameOfReferenceUID": "frame_of_reference",
}


def read_source_datasets(series: DicomSeries, texts: Sequence[str] = ()) -> list[Dataset]:
    """Headers of a series, without pixels, in the order of its positions; one for a multi-frame image.

    Empty SOP identifiers are taken from the meta information of the file; study, series and frame of reference
    identifiers that are empty, not valid or not the same in all slices are made from the SOP identifiers (the same for
    the same files) with a warning, because a viewer will not find the source by them.

    Args:
        series: the series.
        texts: what else the SEG will hold, for the choice of its character set.

    Raises:
        ValueError: an instance has no SOP identifier at all, or the series is several multi-frame images.
    """
    first = series.slices[0]
    files = {item.path for item in series.slices}
    if first.enhanced and len(files) > 1:
        raise ValueError(
            f"{series.folder}: the series is {len(files)} multi-frame images, expected one; a DICOM SEG of several is "
            "not written, use the NIfTI label map"
        )
    instances = _instance_uids(series)
    about = copy_elements(first, texts)
    shared = {tag: _shared_uid(series, tag) for tag in _SHARED}
    thickness = _thickness(series)
    items = [first] if first.enhanced else series.slices
    bases = [_base(item, about, shared, instances) for item in items]
    if first.enhanced:
        return [_multiframe(bases[0], series, thickness)]
    return [_single(base, item, series, thickness) for base, item in zip(bases, items, strict=True)]


def _shared_uid(series: DicomSeries, tag: str) -> str:
    found = list(dict.fromkeys(getattr(item, _SHARED[tag]) for item in series.slices))
    if len(found) == 1 and found[0] and clean_text(tag, "UI", found[0]) == found[0]:
        return str(found[0])
    what = (
        f"has {len(found)} values" if len(found) > 1 else f"is '{found[0]}', no valid one" if found[0] else "is missing"
    )
    logger.warning(
        "%s: %s %s %s (anonymised?); the DICOM SEG gets one of its own, by which the source is not found",
        series.slices[0].path,
        tag,
        tag_text(tag),
        what,
    )
    return _uid(tag, [item.uid for item in series.slices])


def _instance_uids(series: DicomSeries) -> dict[Path, str]:
    """SOPInstanceUID to write for every file: that of the source, or one of its own where it is not valid."""
    files = {item.path: item for item in series.slices}
    for item in files.values():
        for tag, value in (("SOPClassUID", item.storage_class), ("SOPInstanceUID", item.uid)):
            if not value:
                raise ValueError(f"{item.path}: has no {tag}, so nothing can refer to it; export the series again")
    counts = Counter(item.uid for item in files.values())
    bad = [
        item
        for item in files.values()
        if counts[item.uid] > 1 or clean_text("SOPInstanceUID", "UI", item.uid) != item.uid
    ]
    if bad:
        twice = counts[bad[0].uid] > 1
        logger.warning(
            "%s: SOPInstanceUID %s is '%s', %s (%d of %d files); the DICOM SEG refers to identifiers of its own, by "
            "which the source is not found",
            bad[0].path,
            tag_text("SOPInstanceUID"),
            bad[0].uid,
            "that of several files" if twice else "no valid identifier",
            len(bad),
            len(files),
        )
    made = {item.path: _uid("SOPInstanceUID", [item.uid, str(item.position)]) for item in bad}
    return {path: made.get(path, item.uid) for path, item in files.items()}


def _thickness(series: DicomSeries) -> float:
    """SliceThickness of the source, or the distance of its slices."""
    item = series.slices[0]
    holders: list[Any] = [read_dataset(item.path)]
    if item.enhanced:
        groups = [holders[0].get(f"{name}FunctionalGroupsSequence") for name in ("Shared", "PerFrame")]
        holders = [
            part.PixelMeasuresSequence[0]
            for group in groups
            if group
            for part in group[:1]
            if part.get("PixelMeasuresSequence")
        ]
    texts = [text_of(holder, "SliceThickness") for holder in holders]
    for text in texts:
        value = clean_text("SliceThickness", "DS", text)
        if value and float(value) > 0:
            return float(value)
    distance = series.step
    logger.warning(
        "%s: SliceThickness (0018,0050) is %s; the DICOM SEG takes the distance of the slices, %g mm",
        item.path,
        f"'{texts[0]}', no thickness" if any(texts) else "missing or empty",
        distance,
    )
    return distance


def _base(item: DicomSlice, about: Any, shared: dict[str, str], instances: dict[Path, str]) -> Any:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.update(about)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = item.storage_class, instances[item.path]
    for tag, value in shared.items():
        setattr(dataset, tag, value)
    dataset.Modality = item.modality
    dataset.Columns, dataset.Rows = item.size
    return dataset


def _single(dataset: Any, item: DicomSlice, series: DicomSeries, thickness: float) -> Any:
    # The slices agree up to rounding (checked), and a SEG has one orientation and one spacing.
    dataset.ImageOrientationPatient = _decimals(series.orientation)
    dataset.PixelSpacing = _decimals(series.slices[0].spacing)
    dataset.ImagePositionPatient = _decimals(item.position)
    dataset.SliceThickness, dataset.SpacingBetweenSlices = _decimals([thickness, series.step])
    return dataset


def _multiframe(dataset: Any, series: DicomSeries, thickness: float) -> Any:
    from pydicom import Dataset

    first = series.slices[0]
    dataset.NumberOfFrames = first.frames
    measures, orientation, group = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = _decimals(first.spacing)
    measures.SliceThickness, measures.SpacingBetweenSlices = _decimals([thickness, series.step])
    orientation.ImageOrientationPatient = _decimals(series.orientation)
    group.PixelMeasuresSequence, group.PlaneOrientationSequence = [measures], [orientation]
    dataset.SharedFunctionalGroupsSequence = [group]
    frames = []
    for item in sorted(series.slices, key=lambda found: found.frame):
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = _decimals(item.position)
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset


def _decimals(values: Any) -> list[str]:
    from pydicom.valuerep import format_number_as_ds

    return [format_number_as_ds(float(value)) for value in np.asarray(values)]


def _uid(tag: str, instances: list[str]) -> str:
    digest = hashlib.sha256("\n".join([tag, *sorted(instances)]).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
