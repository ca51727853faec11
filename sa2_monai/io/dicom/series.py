# SPDX-License-Identifier: Apache-2.0
"""DICOM series: found in a folder, sorted and checked by the positions of the slices, never by number or name.

A slice that is missing, doubled or displaced is an error that names it. A tilted gantry is no error: the affine follows
the true positions, so its third column leans, and nothing is resampled. A series of one image is refused, because
nothing but the distance between two positions tells how thick a voxel is (SliceThickness is not that distance).

The frames of an enhanced multi-frame image are the slices of a series; such a file is a volume by itself, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sa2_monai.io.dicom.files import read_slices
from sa2_monai.io.dicom.frames import split_frames
from sa2_monai.io.dicom.grid import sort_slices
from sa2_monai.io.dicom.instances import check_instances
from sa2_monai.io.dicom.listing import choose_series, skipped_note
from sa2_monai.io.dicom.pixels import read_planes, value_type
from sa2_monai.io.dicom.slices import DicomSlice
from sa2_monai.io.volumes.geometry import LPS_TO_RAS, VolumeHeader, affine_remarks

__all__ = ["DicomSeries", "dicom_header", "dicom_voxels", "find_series"]

# Air is in every CT: a smallest value above this speaks against Hounsfield units.
_UNSCALED_CT = -200


@dataclass(frozen=True)
class DicomSeries:
    """One series in the order of its positions.

    Attributes:
        folder: where it was found; the file of a multi-frame image.
        slices: instances or frames, ascending along the normal of the slices.
        affine: 4x4, RAS, millimetres, for the array (column, row, slice).
        series_uid: SeriesInstanceUID of the one that was chosen (what it was chosen by, if it has none), else empty.
        remarks: what is doubtful but not wrong.
    """

    folder: Path
    slices: tuple[DicomSlice, ...]
    affine: np.ndarray
    series_uid: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        return (*self.slices[0].size, len(self.slices))

    @property
    def orientation(self) -> np.ndarray:
        """Direction cosines of a row and of a column, LPS."""
        axes = (LPS_TO_RAS @ self.affine)[:3, :2]
        return (axes / np.linalg.norm(axes, axis=0)).T.ravel() + 0.0  # no negative zeros

    @property
    def step(self) -> float:
        """Distance of neighbouring slices along their normal, millimetres."""
        row, column = self.affine[:3, 0], self.affine[:3, 1]
        normal = np.cross(row, column)
        return float(abs(normal @ self.affine[:3, 2]) / np.linalg.norm(normal))


def find_series(folder: Path, series: str | int = "", series_uid: str = "") -> DicomSeries:
    """Find, sort and check the series of a folder.

    Localizers are left out by their ImageType, objects that are no images (SEG, SR, ...) by their class with a remark.

    Args:
        folder: folder with the instances, whatever their names, or the file of a multi-frame image.
        series: which one, where the folder has several: SeriesInstanceUID, SeriesNumber, modality, or a part of the
            description in any case.
        series_uid: the same; the older name.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: no image, several series (they are listed), colour images, slices of different size, orientation or
            spacing, positions that are missing, doubled or not equally spaced, a single slice, several stacks or time
            points in one multi-frame image, or CT without rescale slope and intercept.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder; check the path of the DICOM series")
    found = read_slices(folder)
    wanted = next((str(word) for word in (series, series_uid) if word not in (None, "")), "")
    images, uid = choose_series(folder, found, wanted)
    if folder.is_file() and images[0].frames == 1:
        raise ValueError(
            f"{folder}: is a single DICOM file, expected the folder of its series; give {folder.absolute().parent}"
        )
    slices = split_frames(folder, images)
    remarks = check_instances(folder, slices)
    slices, affine, more = sort_slices(folder, slices)
    note = skipped_note(found)
    return DicomSeries(folder, tuple(slices), affine, uid, (*remarks, *more, *([note] if note else [])))


def dicom_header(series: DicomSeries) -> VolumeHeader:
    """Header of a series.

    Args:
        series: what :func:`find_series` returned.
    """
    return VolumeHeader(
        source=str(series.folder),
        kind="dicom",
        shape=series.shape,
        affine=series.affine,
        dtype=value_type(series.slices),
        remarks=(*series.remarks, *affine_remarks(series.affine)),
        series_uid=series.series_uid,
    )


def dicom_voxels(series: DicomSeries) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxels of a series, Modality LUT of every slice applied (CT: Hounsfield units).

    Args:
        series: what :func:`find_series` returned.

    Returns:
        Array (column, row, slice), whole numbers where the scanner stored them so, else float32; and remarks.

    Raises:
        ValueError: a slice cannot be decoded.
    """
    dtype = value_type(series.slices)
    columns, rows, count = series.shape
    by_file: dict[Path, list[int]] = {}
    for k, item in enumerate(series.slices):
        by_file.setdefault(item.path, []).append(k)
    stack = np.empty((count, rows, columns), dtype)
    for path, places in by_file.items():
        for k, plane in zip(places, read_planes(path, [series.slices[k] for k in places], dtype), strict=True):
            stack[k] = plane
    remarks: tuple[str, ...] = ()
    if series.slices[0].modality == "CT" and stack.min() > _UNSCALED_CT:
        remarks = (f"CT without a value below {_UNSCALED_CT} (smallest {stack.min():g}): are these Hounsfield units?",)
    return stack.T, remarks
