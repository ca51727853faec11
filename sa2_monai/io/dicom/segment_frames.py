# SPDX-License-Identifier: Apache-2.0
"""Frames of a DICOM SEG and their places, put together to a label map by position."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.dicom.series import DicomSeries
from sa2_monai.io.geometry import LPS_TO_RAS, check_affine

__all__ = ["SegmentFrames", "frames_to_volume", "read_frames"]

# A frame belongs to the slice whose position is at most this share of a step away.
_NEAR = 0.05
_SAME_ORIENTATION = 1e-4


@dataclass(frozen=True)
class SegmentFrames:
    """Frames of a file, one bit plane each.

    Attributes:
        path: the file.
        planes: boolean (frame, row, column).
        segments: segment number of every frame.
        positions: (frame, 3), LPS, millimetres.
        orientation: six direction cosines.
        spacing: between rows, between columns, millimetres.
        step: SpacingBetweenSlices, or 0 where it is not given.
        number: number of segments.
    """

    path: Path
    planes: np.ndarray
    segments: np.ndarray
    positions: np.ndarray
    orientation: np.ndarray
    spacing: np.ndarray
    step: float
    number: int


def read_frames(path: Path) -> SegmentFrames:
    """Read a DICOM SEG.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a DICOM SEG of type BINARY, or a frame without a place.
    """
    import pydicom

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    try:
        dataset = pydicom.dcmread(path)
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as DICOM ({error}); copy the file again") from error
    if dataset.get("Modality") != "SEG" or dataset.get("SegmentationType") != "BINARY":
        what = f"{dataset.get('Modality', '?')} {dataset.get('SegmentationType', '')}".strip()
        raise ValueError(f"{path}: is {what}, expected a DICOM SEG of type BINARY; export it so")
    shared = dataset.SharedFunctionalGroupsSequence[0]
    items = list(dataset.PerFrameFunctionalGroupsSequence)
    try:
        measures = [_group(item, shared, "PixelMeasuresSequence") for item in items]
        orientations = np.array(
            [_group(item, shared, "PlaneOrientationSequence").ImageOrientationPatient for item in items], dtype=float
        )
        positions = np.array(
            [_group(item, shared, "PlanePositionSequence").ImagePositionPatient for item in items], dtype=float
        )
        segments = np.array(
            [_group(item, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber for item in items], dtype=int
        )
        planes = dataset.pixel_array.view(np.bool_).reshape(len(items), dataset.Rows, dataset.Columns)
    except Exception as error:
        raise ValueError(f"{path}: damaged, or a frame has no place in the patient ({error})") from error
    if np.abs(orientations - orientations[0]).max() > _SAME_ORIENTATION:
        raise ValueError(f"{path}: has frames of different orientation, expected parallel slices")
    return SegmentFrames(
        path=path,
        planes=planes,
        segments=segments,
        positions=positions,
        orientation=orientations[0],
        spacing=np.array(measures[0].PixelSpacing, dtype=float),
        step=float(measures[0].get("SpacingBetweenSlices") or 0),
        number=len(dataset.SegmentSequence),
    )


def frames_to_volume(frames: SegmentFrames, series: DicomSeries | None) -> tuple[np.ndarray, np.ndarray]:
    """Put frames together.

    Args:
        frames: what :func:`read_frames` returned.
        series: source series whose grid the result gets; ``None``: from the first to the last frame.

    Returns:
        Label map (column, row, slice) and affine (4, 4), RAS.

    Raises:
        ValueError: a frame is not on the grid, or segments overlap.
    """
    slices, affine = _own_grid(frames) if series is None else _series_grid(frames, series)
    step = np.linalg.norm(affine[:3, 2])
    rows, columns = frames.planes.shape[1:]
    labels = np.zeros((columns, rows, slices), np.uint8 if frames.number <= 255 else np.uint16)
    places = (np.linalg.inv(affine) @ LPS_TO_RAS @ np.c_[frames.positions, np.ones(len(frames.positions))].T)[:3].T
    index = np.rint(places).astype(int)
    off = np.linalg.norm((places - index) * np.linalg.norm(affine[:3, :3], axis=0), axis=1)
    if off.max() > _NEAR * step or index[:, :2].any() or index[:, 2].min() < 0 or index[:, 2].max() >= slices:
        raise ValueError(
            f"{frames.path}: frames lie up to {off.max():.3g} mm beside the slices of the grid; it belongs to another "
            "series"
        )
    for plane, segment, k in zip(frames.planes, frames.segments, index[:, 2], strict=True):
        target = labels[:, :, k]
        if (target[plane.T] != 0).any():
            raise ValueError(f"{frames.path}: segment {segment} overlaps another one, expected one class per voxel")
        target[plane.T] = segment
    return labels, affine


def _own_grid(frames: SegmentFrames) -> tuple[int, np.ndarray]:
    row, column = frames.orientation[:3], frames.orientation[3:]
    normal = np.cross(row, column)
    order = np.argsort(frames.positions @ normal)
    positions = frames.positions[order]
    gaps = np.diff(positions @ normal)
    distinct = gaps[gaps > 1e-3]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * frames.spacing[1], column * frames.spacing[0]
    affine[:3, 3] = positions[0]
    if len(distinct):
        # Empty slices are not in the file: the smallest gap is the step, and the others are multiples of it.
        slices = round((positions[-1] - positions[0]) @ normal / distinct.min()) + 1
        affine[:3, 2] = (positions[-1] - positions[0]) / (slices - 1)
    else:
        slices = 1
        affine[:3, 2] = normal * (frames.step or 1.0)
    affine = LPS_TO_RAS @ affine
    check_affine(str(frames.path), affine)
    return slices, affine


def _series_grid(frames: SegmentFrames, series: DicomSeries) -> tuple[int, np.ndarray]:
    size = series.slices[0].size
    if frames.planes.shape[1:] != size[::-1]:
        raise ValueError(
            f"{frames.path}: frames of {frames.planes.shape[1:]} rows and columns, the series {series.folder} has "
            f"{size[::-1]}; it belongs to another series"
        )
    return len(series.slices), series.affine


def _group(item: Any, shared: Any, name: str) -> Any:
    return (item if name in item else shared)[name][0]
