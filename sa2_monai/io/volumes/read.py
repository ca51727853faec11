# SPDX-License-Identifier: Apache-2.0
"""Volumes of every format as arrays (x, y, z) with their place in the patient: NIfTI, NRRD, MHA, MHD, DICOM series."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sa2_monai.io.arrays.decoded import decoded
from sa2_monai.io.dicom.files import is_dicom, is_series
from sa2_monai.io.dicom.series import dicom_header, dicom_voxels, find_series
from sa2_monai.io.images.read import IMAGE_SUFFIXES
from sa2_monai.io.limits.voxels import check_voxels
from sa2_monai.io.names import PAIRS, VOLUME_SUFFIXES
from sa2_monai.io.problems import listing
from sa2_monai.io.volumes.geometry import VolumeHeader
from sa2_monai.io.volumes.itk import itk_header, itk_voxels
from sa2_monai.io.volumes.nifti import nifti_header, nifti_scaling, nifti_voxels, scaled
from sa2_monai.io.whole_numbers import whole_numbers

__all__ = ["Volume", "load_volume", "read_volume", "volume_header"]

logger = logging.getLogger(__name__)

_Voxels = tuple[np.ndarray, tuple[str, ...]]
_LARGEST = float(np.finfo(np.float32).max)  # networks calculate in single precision


@dataclass(frozen=True)
class Volume:
    """Voxels and where they lie.

    Attributes:
        array: (x, y, z), in the type of the file; float32 where the file has a slope or fractional values.
        header: shape, affine (RAS, millimetres), source.
        scaling: slope and intercept that are not yet applied; ``None``: there are none.
    """

    array: np.ndarray
    header: VolumeHeader
    scaling: tuple[float, float] | None = None


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
        ValueError: not a volume of real numbers with three axes, a header that contradicts itself or promises more
            than the file can hold, or a geometry that cannot be used: spacing that is no positive number, an affine
            without inverse; for DICOM see :func:`~sa2_monai.io.dicom.series.find_series`.
    """
    source = _existing(path)
    if is_series(source):
        return dicom_header(find_series(source, series, series_uid))
    return nifti_header(source) if _is_nifti(source) else itk_header(source)


def read_volume(
    path: str | os.PathLike[str],
    label: bool = False,
    series_uid: str = "",
    series: str | int = "",
    as_stored: bool = False,
) -> Volume:
    """Read a volume, and log a warning for what is doubtful in it.

    An unknown orientation, an sform that differs from the qform and axes that are not orthogonal (gantry tilt) are
    warnings: the volume is taken as the file says. See :func:`load_volume`, which does not log.

    Args:
        path: NIfTI, NRRD, MHA or MHD file, folder of a DICOM series, or DICOM file with several frames. A fourth axis
            of size 1 is dropped.
        label: the volume is a label map: values must be whole numbers.
        series_uid: the older name of ``series``.
        series: which one, for a DICOM folder with several: SeriesInstanceUID, number, modality or part of the
            description.
        as_stored: see :func:`load_volume`.

    Returns:
        The volume, rescale slope and intercept applied.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: as for :func:`load_volume`.
        MemoryError: there is not enough memory.
    """
    volume = load_volume(path, label, series if series not in (None, "") else series_uid, as_stored=as_stored)
    for remark in volume.header.remarks:
        logger.warning("%s: %s", path, remark)
    return volume


def load_volume(
    path: str | os.PathLike[str],
    label: bool = False,
    series: str | int = "",
    flat: bool = False,
    as_stored: bool = False,
) -> Volume:
    """Read a volume; what is doubtful in it stands in the remarks of its header.

    Compressed files are read to their end, so that their checksums are checked.

    Args:
        path: see :func:`read_volume`.
        label: see :func:`read_volume`.
        series: see :func:`read_volume`.
        flat: take 2D files, too, as volumes of one slice (``header.axes`` is 2 then).
        as_stored: leave whole numbers of at most 16 bits as they are where the file has a slope, which stands in
            ``scaling`` then; no label maps.

    Returns:
        The volume, rescale slope and intercept applied. A label map has an integer type, the smallest of uint8, int16
        and int32 that holds its values where the file has floating point or more than 16 bits; values within 1e-3 of
        whole numbers are these, with a remark.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: as for :func:`volume_header`; more voxels than :mod:`sa2_monai.io.limits.voxels` allows; a
            truncated or damaged file, or one with other data than its header says; NaN or infinite voxels; a label map
            with fractional values.
        MemoryError: there is not enough memory.
    """
    source = _existing(path)
    scaling = None
    if is_series(source):
        found = find_series(source, series)
        header = _affordable(dicom_header(found))
        array, remarks = _decoded(
            [one.path for one in found.slices], f"series {found.series_uid}", lambda: dicom_voxels(found)
        )
    elif _is_nifti(source):
        header = _affordable(nifti_header(source, flat))
        scaling = nifti_scaling(source, header) if as_stored and not label else None
        stored = scaling is not None
        array, remarks = _decoded([source], f"NIfTI {stored}", lambda: nifti_voxels(source, header, as_stored=stored))
        if scaling is not None:
            _check_finite(source, scaled(source, np.array([[[array.min(), array.max()]]]), *scaling))
    else:
        header = _affordable(itk_header(source, flat))
        array, remarks = _decoded([source], "ITK", lambda: itk_voxels(source, header))
    if array.dtype.kind == "f":
        _check_finite(source, array)
    if label:
        array, more = whole_numbers(str(source), array)
        remarks += more
    return Volume(array, replace(header, remarks=header.remarks + remarks), scaling)


def _affordable(header: VolumeHeader) -> VolumeHeader:
    check_voxels(header.source, header.shape, header.dtype.itemsize)
    return header


def _decoded(files: Sequence[Path], what: str, read: Callable[[], _Voxels]) -> _Voxels:
    return decoded(files, what, read, lambda voxels: voxels[0].nbytes)


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
    if name.endswith(IMAGE_SUFFIXES) and not is_dicom(source):
        raise ValueError(
            f"{source}: is a 2D image, expected a volume ({listing(list(VOLUME_SUFFIXES))} or a DICOM folder)"
        )
    if name.endswith(PAIRS):
        raise ValueError(
            f"{source}: is one of the two files of a NIfTI pair or Analyze image (.hdr and .img), expected a single "
            "NIfTI file; convert it to .nii.gz"
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
    # NaN goes through both, and no comparison holds for it; nothing of the size of the volume is laid down.
    if array.min() >= -_LARGEST and array.max() <= _LARGEST:
        return
    bad = array.size - int(np.count_nonzero(np.abs(array) <= _LARGEST))
    raise ValueError(
        f"{source}: {bad} of {array.size} voxels are NaN or infinite (or beyond single precision); replace them (air, "
        "or 0) and save the file again"
    )
