# SPDX-License-Identifier: Apache-2.0
"""Label maps as DICOM segmentation objects (DICOM SEG) that refer to the slices they were made from, and back.

Written with highdicom (extra ``dicom``) as BINARY, the kind that viewers read. Class k of the label map is segment k.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sa2_monai.io.atomic import atomic_write
from sa2_monai.io.dicom.packages import quiet_pydicom, require_highdicom
from sa2_monai.io.dicom.seg_reading import read_dicom_seg
from sa2_monai.io.dicom.segment_codes import segment_code
from sa2_monai.io.dicom.series import DicomSeries, find_series
from sa2_monai.io.dicom.source_datasets import read_source_datasets
from sa2_monai.version import __version__

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_dicom_seg", "require_highdicom", "segment_names", "write_dicom_seg"]

_MANUFACTURER = "sa2_monai"
_DISCLAIMER = "Computed for research, not for diagnosis"
_SERIES_NUMBER = 9000


def segment_names(class_names: Sequence[str] | Mapping[Any, str]) -> list[str]:
    """Names of the segments 1, 2, ...

    Args:
        class_names: names of the classes, background first, or ``{class: name}`` (the background may be left out).

    Raises:
        ValueError: no class beside the background, an empty name, or a gap between the classes.
    """
    if isinstance(class_names, str):
        raise ValueError(f"class_names is the text {class_names!r}, expected a list of names, background first")
    pairs = class_names.items() if isinstance(class_names, Mapping) else enumerate(class_names)
    table = {int(k): str(name) for k, name in pairs if int(k) != 0}
    if not table or sorted(table) != list(range(1, len(table) + 1)) or not all(n.strip() for n in table.values()):
        raise ValueError(
            f"class_names is {class_names!r}, expected a name for every class 1, 2, ... without a gap, background "
            "first (class 0)"
        )
    return [table[k] for k in sorted(table)]


def write_dicom_seg(
    labels: np.ndarray,
    series_folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    class_names: Sequence[str] | Mapping[Any, str],
    series_uid: str = "",
    model_name: str = "sa2_monai",
    model_version: str = __version__,
    series: str | int = "",
) -> None:
    """Write a label map as DICOM SEG.

    Every class is a segment, also one without a voxel; a result without any foreground is written, too. Slices of a
    segment without a voxel are left out of the file. Elements of the source that are missing or not valid do not keep
    the file from being written; see ``source_datasets`` for what becomes of them.

    Args:
        labels: whole numbers (column, row, slice) as :func:`~sa2_monai.data.read_volume` gives the series.
        series_folder: folder of the source series, or its multi-frame file; its slices are referred to, its patient and
            study are copied.
        path: file to write.
        class_names: see :func:`segment_names`. A name in the table of ``segment_codes`` gets its SNOMED CT code,
            another one the code "Anatomical Structure"; the name itself is the label of the segment.
        series_uid: the older name of ``series``.
        model_name: name of the algorithm in the file.
        model_version: its version.
        series: which series, where the folder has several: SeriesInstanceUID, number, modality or part of the
            description.

    Raises:
        ImportError: highdicom is not installed.
        ValueError: another shape than that of the series, a class without a name, or a source series that cannot be
            used.
        OSError: the file cannot be written.
    """
    highdicom = require_highdicom()
    names = segment_names(class_names)
    source = find_series(Path(series_folder), series, series_uid)
    if labels.shape != source.shape:
        raise ValueError(
            f"{path}: the label map has the shape {labels.shape}, the series {series_folder} has {source.shape}"
        )
    highest = int(labels.max())
    if labels.dtype.kind not in "iub" or int(labels.min()) < 0 or highest > len(names):
        raise ValueError(
            f"{path}: the label map holds {labels.dtype} values from {labels.min()} to {highest}, expected whole "
            f"numbers 0 to {len(names)} for the classes {', '.join(names)}"
        )
    dtype = np.uint8 if len(names) <= 255 else np.uint16
    planes = np.ascontiguousarray(labels.transpose(2, 1, 0), dtype=dtype)
    if source.slices[0].enhanced:  # one source, whose frames have an order of their own
        planes = planes[np.argsort([item.frame for item in source.slices])]
    datasets = read_source_datasets(source, names)
    _check_storage_class(source, datasets[0])
    with quiet_pydicom():  # a warning would show the name of the patient
        segmentation = highdicom.seg.Segmentation(
            source_images=datasets,
            pixel_array=planes,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_descriptions(names, model_name, model_version),
            series_instance_uid=highdicom.UID(),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=_MANUFACTURER,
            manufacturer_model_name=model_name[:64],
            software_versions=__version__,
            device_serial_number="0",
            content_label="RESEARCH",
            content_description=_DISCLAIMER,
            series_description=f"RESEARCH segmentation ({model_name})"[:64],
        )
    atomic_write(path, lambda file: segmentation.save_as(file))


def _check_storage_class(source: DicomSeries, dataset: Dataset) -> None:
    from highdicom._standard_utils import get_sop_class_iod_map

    if dataset.SOPClassUID not in get_sop_class_iod_map():
        raise ValueError(
            f"{source.slices[0].path}: SOPClassUID (0008,0016) is {dataset.SOPClassUID}, a class that DICOM SEG cannot "
            "refer to; use the NIfTI label map"
        )


def _descriptions(names: list[str], model_name: str, model_version: str) -> list[Dataset]:
    highdicom = require_highdicom()
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=model_name[:64], version=model_version[:64], family=codes.DCM.ArtificialIntelligence
    )
    descriptions = []
    for number, name in enumerate(names, start=1):
        code = segment_code(name)
        category = codes.SCT.MorphologicallyAbnormalStructure if code.abnormal else codes.SCT.AnatomicalStructure
        descriptions.append(
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=name[:64],
                segmented_property_category=category,
                segmented_property_type=highdicom.sr.CodedConcept(code.value, "SCT", code.meaning),
                algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
            )
        )
    return descriptions
