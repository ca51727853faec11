# SPDX-License-Identifier: Apache-2.0
"""DICOM segmentation objects read by highdicom: BINARY, LABELMAP and FRACTIONAL, on the grid of their source."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.dicom.lengths import check_lengths
from sa2_monai.io.dicom.packages import quiet_pydicom, require_highdicom
from sa2_monai.io.dicom.seg_places import (
    NEAREST,
    ROUNDED,
    are_multiples,
    elsewhere,
    frame_places,
    set_step,
    step_of_series,
    tolerance,
    written_step,
)
from sa2_monai.io.dicom.series import DicomSeries, find_series
from sa2_monai.io.limits.voxels import check_voxels
from sa2_monai.io.volumes.geometry import LPS_TO_RAS, check_affine, corner_distance

__all__ = ["read_dicom_seg"]

logger = logging.getLogger(__name__)

_TYPES = ("BINARY", "LABELMAP", "FRACTIONAL")
# A voxel belongs to a segment of type FRACTIONAL above this; of probabilities that sum to 1, one at most is.
_FRACTION = 0.5
# Any lean: highdicom's tolerance for the angle between the normal of the slices and the line through them.
_ANY_LEAN = 2.0


def read_dicom_seg(
    path: str | os.PathLike[str],
    series_folder: str | os.PathLike[str] | None = None,
    series_uid: str = "",
    series: str | int = "",
) -> tuple[np.ndarray, np.ndarray]:
    """Label map of a DICOM SEG: the number of a segment becomes that of the class.

    Args:
        path: DICOM SEG file of type BINARY, LABELMAP, or FRACTIONAL (voxels above 0.5, with a warning).
        series_folder: folder of the source series, or its multi-frame file: the result lies on its grid, whatever the
            order of the frames and the direction of their axes. ``None`` takes the grid of the slices in the file, from
            the first to the last that is not empty.
        series_uid: the older name of ``series``.
        series: which series, where the folder has several: SeriesInstanceUID, number, modality or part of the
            description.

    Returns:
        Label map (column, row, slice), uint8 (uint16 where a segment has a number above 255), and affine (4, 4), RAS,
        millimetres.

    Raises:
        ImportError: highdicom is not installed.
        FileNotFoundError: there is no such file.
        ValueError: no DICOM SEG, overlapping segments, or frames that are not on the grid.
    """
    highdicom = require_highdicom()
    path = Path(path)
    source = None if series_folder is None else find_series(Path(series_folder), series, series_uid)
    dataset = _read(path)
    positions, normal = frame_places(path, dataset)
    if source is not None:
        set_step(dataset, step_of_series(path, positions, normal, source))
    elif not are_multiples(positions @ normal, written_step(dataset)):
        set_step(dataset, None)  # the positions count, as everywhere
    with quiet_pydicom():
        try:
            labels, affine = _volume(path, highdicom.seg.Segmentation.from_dataset(dataset, copy=False))
        except Exception as error:  # of highdicom, pydicom, and what odd objects make them raise
            raise_if_memory(error, path)
            if "overlap" in str(error):
                raise ValueError(f"{path}: segments overlap each other, expected one class per voxel") from error
            raise ValueError(
                f"{path}: cannot be read as a label map of parallel, equally spaced slices ({error}); export it again"
            ) from error
    affine = _through(path, affine, positions, labels.shape[2])
    if source is None:
        return labels, affine
    return _on_grid(highdicom, path, labels, affine, source), source.affine


def _read(path: Path) -> Any:
    import pydicom

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    try:
        check_lengths(path)
        with quiet_pydicom():
            dataset = pydicom.dcmread(path)
    except Exception as error:
        raise_if_memory(error, path)
        raise ValueError(f"{path}: cannot be read as DICOM ({error}); copy the file again") from error
    kind = dataset.get("SegmentationType")
    if dataset.get("Modality") != "SEG" or kind not in _TYPES:
        what = f"{dataset.get('Modality', '?')} {kind or ''}".strip()
        raise ValueError(f"{path}: is {what}, expected a DICOM SEG of type {', '.join(_TYPES)}; export it so")
    return dataset


def _volume(path: Path, segmentation: Any) -> tuple[np.ndarray, np.ndarray]:
    """Label map (column, row, slice), slices along the normal, and affine (LPS) without lean."""
    step = segmentation.get_volume_geometry(rtol=NEAREST, perpendicular_tol=_ANY_LEAN)
    if step is not None:
        check_voxels(path, step.spatial_shape, 2)
    atol = tolerance(step.spacing_between_slices) if step is not None else ROUNDED
    options = {"atol": atol, "perpendicular_tol": _ANY_LEAN}
    numbers = list(segmentation.segment_numbers)
    dtype = np.uint8 if max(numbers, default=0) <= 255 else np.uint16
    if segmentation.segmentation_type.value == "FRACTIONAL":
        logger.warning("%s: is of type FRACTIONAL; voxels above %g belong to a segment", path, _FRACTION)
        volume = segmentation.get_volume(segment_numbers=numbers[:1], **options)
        array = np.zeros(volume.spatial_shape, dtype)
        for number in numbers:
            inside = segmentation.get_volume(segment_numbers=[number], **options).array[..., 0] > _FRACTION
            if (array[inside] != 0).any():
                raise ValueError("segments overlap")
            array[inside] = number
    else:
        volume = segmentation.get_volume(combine_segments=True, **options)
        array = volume.array.astype(dtype)
    labels, affine = array.transpose(2, 1, 0), volume.affine[:, [2, 1, 0, 3]]
    if np.linalg.det(affine[:3, :3]) < 0:
        labels = labels[:, :, ::-1]
        affine[:3, 3] += affine[:3, 2] * (labels.shape[2] - 1)
        affine[:3, 2] *= -1
    return np.ascontiguousarray(labels), affine


def _through(path: Path, affine: np.ndarray, positions: np.ndarray, slices: int) -> np.ndarray:
    """The same grid (RAS) with its third axis through the positions of the frames, which may lean (gantry tilt)."""
    normal = affine[:3, 2] / np.linalg.norm(affine[:3, 2])
    order = np.argsort(positions @ normal)
    first, last = positions[order[0]], positions[order[-1]]
    affine[:3, 3] = first
    if slices > 1:
        affine[:3, 2] = (last - first) / (slices - 1)
        step = float(affine[:3, 2] @ normal)
        index = np.rint((positions - first) @ normal / step)
        off = float(np.linalg.norm(positions - first - index[:, None] * affine[:3, 2], axis=1).max())
        if off > 2 * tolerance(step):
            raise ValueError(f"{path}: frames lie up to {off:.3g} mm beside a line, expected slices above each other")
    affine = LPS_TO_RAS @ affine
    check_affine(str(path), affine)
    return affine


def _on_grid(highdicom: Any, path: Path, labels: np.ndarray, affine: np.ndarray, source: DicomSeries) -> np.ndarray:
    """The label map on the grid of a series: axes turned, empty slices added.

    Both are given to highdicom in voxels of the series, where leaning slices are upright, too.
    """
    exact = np.linalg.inv(source.affine) @ affine
    whole = np.rint(exact)
    turned = np.abs(whole[:3, :3])
    off = corner_distance(labels.shape, affine, source.affine @ whole)
    if not (turned.sum(0) == 1).all() or not (turned.sum(1) == 1).all() or off > 2 * tolerance(source.step):
        raise elsewhere(path, off)
    volume = highdicom.Volume(labels, affine=whole, coordinate_system="PATIENT")
    target = highdicom.VolumeGeometry(np.eye(4), spatial_shape=source.shape, coordinate_system="PATIENT")
    columns, rows, slices = source.shape
    placed = volume.match_geometry(target).array[:columns, :rows, :slices]  # it does not crop at the end of an axis
    lost = np.count_nonzero(labels) - np.count_nonzero(placed)
    if lost:
        raise ValueError(
            f"{path}: {lost} voxels of its segments lie outside the series {source.folder} of {columns} columns, "
            f"{rows} rows and {slices} slices; it belongs to another series"
        )
    return np.ascontiguousarray(placed)
