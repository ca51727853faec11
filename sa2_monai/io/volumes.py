# SPDX-License-Identifier: Apache-2.0
"""Volumes of every format as arrays (x, y, z) with their place in the patient: NIfTI, NRRD, MHA, MHD, DICOM series."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sa2_monai.io.dicom.files import is_dicom, is_series
from sa2_monai.io.dicom.series import dicom_header, dicom_voxels, find_series
from sa2_monai.io.geometry import VolumeHeader
from sa2_monai.io.images.read import PICTURE_SUFFIXES
from sa2_monai.io.itk_volumes import itk_header, itk_voxels
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.nifti import nifti_header, nifti_voxels
from sa2_monai.io.problems import listing

__all__ = ["Volume", "read_volume", "volume_header"]

logger = logging.getLogger(__name__)

_LARGEST_LABEL = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Volume:
    """Voxels and where they lie.

    Attributes:
        array: (x, y, z), in the type of the file; float32 where the file has a slope or fractional values.
        header: shape, affine (RAS, millimetres), source.
    """

    array: np.ndarray
    header: VolumeHeader


def volume_header(path: str | os.PathLike[str], series_uid: str = "", series: str | int = "") -> VolumeHeader:
    """Shape, affine and type of a volume without reading its voxels.

    Args:
        path: NIfTI, NRRD, MHA or MHD file, folder of a DICOM series, or DICOM file with several frames.
        series_uid: the older name of ``series``.
        series: which one, for a DICOM folder with several: SeriesInstanceUID, number, modality or part of the
            description.

    Returns:
        The header; what is doubtful stands in its ``remarks``.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: not a volume of real numbers with three axes, or a geometry that cannot be used: zero spacing, an
            affine without inverse; for DICOM see :func:`~sa2_monai.io.dicom.series.find_series`.
    """
    source = _existing(path)
    if is_series(source):
        return dicom_header(find_series(source, series, series_uid))
    return nifti_header(source) if _is_nifti(source) else itk_header(source)


def read_volume(
    path: str | os.PathLike[str], label: bool = False, series_uid: str = "", series: str | int = ""
) -> Volume:
    """Read a volume, and log a warning for what is doubtful in it.

    An unknown orientation, an sform that differs from the qform and axes that are not orthogonal (gantry tilt) are
    warnings: the volume is taken as the file says.

    Args:
        path: NIfTI, NRRD, MHA or MHD file, folder of a DICOM series, or DICOM file with several frames. A fourth axis
            of size 1 is dropped.
        label: the volume is a label map: values must be whole numbers.
        series_uid: the older name of ``series``.
        series: which one, for a DICOM folder with several: SeriesInstanceUID, number, modality or part of the
            description.

    Returns:
        The volume, rescale slope and intercept applied.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: as for :func:`volume_header`; a truncated or damaged file; NaN or infinite voxels; a label map with
            fractional values.
    """
    source = _existing(path)
    if is_series(source):
        found = find_series(source, series, series_uid)
        header = dicom_header(found)
        array, remarks = dicom_voxels(found)
    else:
        header = nifti_header(source) if _is_nifti(source) else itk_header(source)
        array = nifti_voxels(source, header) if header.kind == "nifti" else itk_voxels(source, header)
        remarks = ()
    for remark in (*header.remarks, *remarks):
        logger.warning("%s: %s", source, remark)
    if array.dtype.kind == "f":
        _check_finite(source, array)
    return Volume(_whole_numbers(source, array) if label else array, header)


def _existing(path: str | os.PathLike[str]) -> Path:
    source = Path(path)
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder; check the path and the list that names it")
    if source.is_dir():
        return source
    name = source.name.lower()
    if name.endswith(VOLUME_SUFFIXES):
        if source.stat().st_size == 0:
            raise ValueError(f"{source}: is empty (0 bytes); copy the file again")
        return source
    if name.endswith(PICTURE_SUFFIXES):
        raise ValueError(
            f"{source}: is a 2D picture, expected a volume ({listing(list(VOLUME_SUFFIXES))} or a DICOM folder)"
        )
    if is_dicom(source):
        return source
    raise ValueError(
        f"{source}: is no volume by its suffix, expected {listing(list(VOLUME_SUFFIXES))} or the folder of a DICOM "
        "series; convert or rename it"
    )


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _check_finite(source: Path, array: np.ndarray) -> None:
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise ValueError(
            f"{source}: {bad} of {array.size} voxels are NaN or infinite; replace them (air, or 0) and save the file "
            "again"
        )


def _whole_numbers(source: Path, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    whole = np.rint(array)
    if not np.array_equal(whole, array) or np.abs(whole).max() > _LARGEST_LABEL // 2:
        raise ValueError(
            f"{source}: holds fractional values between {array.min():g} and {array.max():g}, expected a label map of "
            "whole class numbers; save it as integers (and never resample label maps with interpolation)"
        )
    return whole.astype(np.int32)
