# SPDX-License-Identifier: Apache-2.0
"""What the instances of a DICOM series must have in common, and where they must lie."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.dicom.files import DicomSlice
from sa2_monai.io.geometry import LPS_TO_RAS, check_affine
from sa2_monai.io.problems import Problems

__all__ = ["check_instances", "sort_slices"]

# Positions closer than this (mm) are one position; steps may differ by 1 % or 0.05 mm, the larger of the two.
_SAME_POSITION = 1e-3
_STEP_RELATIVE, _STEP_ABSOLUTE = 0.01, 0.05
# Direction cosines are written with five or six digits; a row and a column may miss the right angle by this.
_SAME_ORIENTATION = 1e-4
_ORTHONORMAL = 1e-2


def check_instances(folder: Path, slices: list[DicomSlice]) -> None:
    """Check that the instances of a series are slices of one scan.

    Args:
        folder: folder, for messages.
        slices: the instances, in any order.

    Raises:
        ValueError: multi-frame or colour images, missing tags, CT without rescale, slices of different size,
            orientation, pixel spacing, frame of reference or modality; all offending instances are named.
    """
    problems = Problems(str(folder))
    for item in slices:
        _check_tags(problems, item)
    problems.raise_if_any()
    common: tuple[tuple[str, list[Any], float], ...] = (
        ("sizes", [item.size for item in slices], 0),
        ("orientations", [_numbers(item.orientation) for item in slices], _SAME_ORIENTATION),
        ("pixel spacings", [_numbers(item.spacing) for item in slices], _SAME_ORIENTATION),
        ("frames of reference", [item.frame_of_reference for item in slices], 0),
        ("modalities", [item.modality for item in slices], 0),
    )
    for what, values, tolerance in common:
        usual = Counter(values).most_common(1)[0][0]
        for item, value in zip(slices, values, strict=True):
            if value != usual and not (tolerance and np.allclose(value, usual, rtol=0, atol=tolerance)):
                problems.add(
                    f"slices of different {what}",
                    f"{item.name}: {_shown(value)}, others {_shown(usual)}",
                    "the slices of one scan have one; move the other images away",
                )
    problems.raise_if_any()


def sort_slices(folder: Path, slices: list[DicomSlice]) -> tuple[list[DicomSlice], np.ndarray]:
    """Sort instances along the normal of the slices, and check that they are equally spaced.

    Args:
        folder: folder, for messages.
        slices: instances that :func:`check_instances` has passed.

    Returns:
        The instances, ascending, and the affine (RAS, millimetres) of the array (column, row, slice). Its third
        column is the mean step between the positions, whatever its angle to the slices.

    Raises:
        ValueError: orientation or spacing that are no such thing, one slice, doubled positions, a missing or displaced
            slice; instances and positions are named.
    """
    cosines, spacing = np.asarray(slices[0].orientation), np.asarray(slices[0].spacing)
    row, column = cosines[:3], cosines[3:]
    if np.abs([row @ row - 1, column @ column - 1, row @ column]).max() > _ORTHONORMAL:
        raise ValueError(
            f"{folder}: ImageOrientationPatient is {_shown(tuple(cosines))}, expected two orthogonal unit vectors; "
            "export the series again"
        )
    if len(slices) < 2:
        raise ValueError(
            f"{folder}: the series has one image ({slices[0].name}), expected at least two: the distance of slices is "
            "known from their positions only; add the other slices, or convert the image to NIfTI with a known spacing"
        )
    normal = np.cross(row, column)
    order = sorted(slices, key=lambda item: float(np.asarray(item.position) @ normal))
    positions = np.array([item.position for item in order])
    heights = positions @ normal
    _check_steps(folder, order, positions, heights)
    affine = np.eye(4)
    # PixelSpacing is the distance of rows first; the index x runs over the columns, along a row.
    affine[:3, 0] = row * spacing[1]
    affine[:3, 1] = column * spacing[0]
    affine[:3, 2] = (positions[-1] - positions[0]) / (len(order) - 1)
    affine[:3, 3] = positions[0]
    affine = LPS_TO_RAS @ affine
    check_affine(str(folder), affine)
    return order, affine


def _check_tags(problems: Problems, item: DicomSlice) -> None:
    if item.frames > 1:
        problems.add(
            "multi-frame images",
            f"{item.name}: {item.frames} frames",
            "convert them to one file per slice, or to NIfTI",
        )
        return
    if item.samples != 1:
        problems.add("colour images", f"{item.name}: {item.samples} samples per pixel", "move them away")
        return
    for tag, value in (
        ("ImagePositionPatient", item.position),
        ("ImageOrientationPatient", item.orientation),
        ("PixelSpacing", item.spacing),
    ):
        if value is None:
            problems.add(
                f"images without a valid {tag}",
                item.name,
                "move away what is no slice of the scan (secondary captures and enhanced objects are not read)",
            )
    if item.modality == "CT" and not item.rescaled:
        problems.add(
            "CT images without RescaleSlope and RescaleIntercept",
            item.name,
            "export the series again: without them the values are no Hounsfield units",
        )


def _check_steps(folder: Path, order: list[DicomSlice], positions: np.ndarray, heights: np.ndarray) -> None:
    problems = Problems(str(folder))
    steps = np.diff(heights)
    doubled = steps < _SAME_POSITION
    if doubled.any():
        for k in np.flatnonzero(doubled):
            problems.add(
                "slices at the same position",
                f"{order[k].name} and {order[k + 1].name}: both at {heights[k]:.3f} mm",
                "remove the doubles; split time points, echoes and b-values into folders of their own",
            )
        problems.raise_if_any()
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    tolerance = max(_STEP_ABSOLUTE, _STEP_RELATIVE * usual)
    for k in np.flatnonzero(np.abs(steps - usual) > tolerance):
        missing = round(steps[k] / usual) - 1
        where = (
            f"between {order[k].name} at {heights[k]:.3f} mm and {order[k + 1].name} at {heights[k + 1]:.3f} mm: "
            f"step {steps[k]:.3f} mm, usual {usual:.3f} mm"
        )
        if missing > 0 and abs(steps[k] - (missing + 1) * usual) <= tolerance * (missing + 1):
            problems.add("gaps where slices are missing", f"{missing} {where}", "export the whole series again")
        else:
            problems.add(
                "slices that are not equally spaced",
                where,
                "give one equally spaced series; resample it to NIfTI if it was scanned so",
            )
    problems.raise_if_any()
    line = positions[0] + np.linspace(0, 1, len(order))[:, None] * (positions[-1] - positions[0])
    distances = np.linalg.norm(positions - line, axis=1)
    for k in np.flatnonzero(distances > 2 * tolerance):
        problems.add(
            "displaced slices",
            f"{order[k].name}: {distances[k]:.3f} mm beside the line from the first to the last slice",
            "give one equally spaced series; resample it to NIfTI if it was scanned so",
        )
    problems.raise_if_any()


def _numbers(array: np.ndarray | None) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(array))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{part:.6g}" for part in value)
    return str(value) or "(none)"
