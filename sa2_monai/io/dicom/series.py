# SPDX-License-Identifier: Apache-2.0
"""DICOM series: found in a folder, sorted and checked by the positions of the slices, never by number or name.

A slice that is missing, doubled or displaced is an error that names it. A tilted gantry is no error: the affine follows
the true positions, so its third column leans, and nothing is resampled. A series of one image is refused, because
nothing but the distance between two positions tells how thick a voxel is (SliceThickness is not that distance).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sa2_monai.io.dicom.checks import check_instances, sort_slices
from sa2_monai.io.dicom.files import DicomSlice, image_reader, read_slices
from sa2_monai.io.geometry import VolumeHeader, affine_remarks
from sa2_monai.io.itk_volumes import pixel_type
from sa2_monai.io.problems import listing

__all__ = ["DicomSeries", "dicom_header", "dicom_voxels", "find_series"]

# Air is in every CT: a smallest value above this speaks against Hounsfield units.
_UNSCALED_CT = -200


@dataclass(frozen=True)
class DicomSeries:
    """One series in the order of its positions.

    Attributes:
        folder: where it was found.
        slices: instances, ascending along the normal of the slices.
        affine: 4x4, RAS, millimetres, for the array (column, row, slice).
        series_uid: what was asked for among several series, else empty.
    """

    folder: Path
    slices: tuple[DicomSlice, ...]
    affine: np.ndarray
    series_uid: str = ""


def find_series(folder: Path, series_uid: str = "") -> DicomSeries:
    """Find, sort and check the series of a folder.

    Localizers are left out by their ImageType.

    Args:
        folder: folder with the instances, whatever their names.
        series_uid: which one, where the folder has several.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no image, several series (they are listed), multi-frame or colour images, slices of different size,
            orientation, spacing or frame of reference, positions that are missing, doubled or not equally spaced,
            a single slice, or CT without rescale slope and intercept.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; check the path of the DICOM series")
    slices = _choose(folder, read_slices(folder), series_uid)
    check_instances(folder, slices)
    slices, affine = sort_slices(folder, slices)
    return DicomSeries(folder, tuple(slices), affine, series_uid)


def dicom_header(series: DicomSeries) -> VolumeHeader:
    """Header of a series.

    Args:
        series: what :func:`find_series` returned.

    Returns:
        The header; its ``dtype`` is that of the first slice.
    """
    reader = image_reader(series.slices[0].path)
    reader.ReadImageInformation()
    dtype = pixel_type(reader.GetPixelIDValue())
    columns, rows = series.slices[0].size
    return VolumeHeader(
        source=str(series.folder),
        kind="dicom",
        shape=(columns, rows, len(series.slices)),
        affine=series.affine,
        dtype=np.dtype(np.float32) if dtype is None or dtype.kind == "f" else dtype,
        remarks=affine_remarks(series.affine),
        series_uid=series.series_uid,
    )


def dicom_voxels(series: DicomSeries) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxels of a series, rescale slope and intercept of every slice applied (CT: Hounsfield units).

    Args:
        series: what :func:`find_series` returned.

    Returns:
        Array (column, row, slice), whole numbers where the scanner stored them so, else float32; and remarks.

    Raises:
        ValueError: a slice cannot be decoded.
    """
    import SimpleITK as sitk

    stack = np.empty((0, 0, 0))
    for k, item in enumerate(series.slices):
        try:
            image = image_reader(item.path).Execute()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(
                f"{item.path}: the pixels cannot be decoded ({reason}); copy the series again, or decompress it with "
                "gdcmconv --raw"
            ) from error
        # The view lives as long as the image that it looks into.
        plane = sitk.GetArrayViewFromImage(image).reshape(item.size[::-1])
        wanted = np.dtype(np.float32) if plane.dtype.kind == "f" else plane.dtype
        if k == 0:
            stack = np.empty((len(series.slices), *plane.shape), wanted)
        elif np.result_type(stack.dtype, wanted) != stack.dtype:  # slices with slopes of their own, as in PET
            stack = stack.astype(np.result_type(stack.dtype, wanted))
        stack[k] = plane
    remarks: tuple[str, ...] = ()
    if series.slices[0].modality == "CT" and stack.min() > _UNSCALED_CT:
        remarks = (f"CT without a value below {_UNSCALED_CT} (smallest {stack.min():g}): are these Hounsfield units?",)
    return stack.T, remarks


def _choose(folder: Path, slices: list[DicomSlice], series_uid: str) -> list[DicomSlice]:
    images = [item for item in slices if not item.localizer]
    if not images:
        what = f"only localizers ({len(slices)})" if slices else "no DICOM images"
        raise ValueError(f"{folder}: holds {what}, expected the images of one series; give the folder that has them")
    groups: dict[str, list[DicomSlice]] = {}
    for item in images:
        groups.setdefault(item.series_uid, []).append(item)
    lines = [
        f"{uid or '(no SeriesInstanceUID)'}: {items[0].modality or '?'}, '{items[0].description}', {len(items)} images"
        for uid, items in groups.items()
    ]
    table = "\n    " + listing(lines, limit=30, separator="\n    ")
    if series_uid:
        if series_uid not in groups:
            raise ValueError(f"{folder}: has no series {series_uid}; it has{table}")
        return groups[series_uid]
    if len(groups) > 1:
        raise ValueError(
            f"{folder}: holds {len(groups)} series, expected one:{table}\n  -> put the wanted one into a folder of "
            "its own, or name it with series_uid"
        )
    return images
