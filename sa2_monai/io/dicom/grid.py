# SPDX-License-Identifier: Apache-2.0
"""The grid that the positions of slices make: sorted, equally spaced, none missing, doubled or displaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sa2_monai.io.dicom.slices import DicomSlice
from sa2_monai.io.problems import Problems
from sa2_monai.io.volumes.geometry import LPS_TO_RAS, check_affine

__all__ = ["sort_slices"]

# Positions closer than this (mm) are one position; steps may differ by 1 % or 0.05 mm, the larger of the two.
_SAME_POSITION = 1e-3
_STEP_RELATIVE, _STEP_ABSOLUTE = 0.01, 0.05
# A row and a column may miss the right angle by this; cosines of few digits are put right, above this with a remark.
_ORTHONORMAL, _FEW_DIGITS = 1e-2, 1e-4
# Numbers of decimals that positions are rounded to; with fewer, one displaced slice could pass for rounding.
_DECIMALS = (1, 2, 3)
# Rounding may move a slice by this share of a step, and a component that is not rounded by this (mm).
_ROUNDING_SHARE, _EXACT = 0.25, 0.005


def sort_slices(source: Path, slices: list[DicomSlice]) -> tuple[list[DicomSlice], np.ndarray, tuple[str, ...]]:
    """Sort instances along the normal of the slices, and check that they are equally spaced.

    Args:
        source: folder or file, for messages.
        slices: instances that :func:`~sa2_monai.io.dicom.instances.check_instances` has passed.

    Returns:
        The instances, ascending; the affine (RAS, millimetres) of the array (column, row, slice), whose third column is
        the mean step between the positions, whatever its angle to the slices; and remarks.

    Raises:
        ValueError: orientation or spacing that are no such thing, one slice, doubled positions, a missing or displaced
            slice; instances and positions are named.
    """
    # Of most slices: those of one may be rounded.
    row, column, remarks = _directions(source, _usual([item.orientation for item in slices]))
    spacing = _usual([item.spacing for item in slices])
    if len(slices) < 2:
        raise ValueError(
            f"{source}: the series has one image ({slices[0].name}), expected at least two: the distance of slices is "
            "known from their positions only; add the other slices, or convert the image to NIfTI with a known spacing"
        )
    normal = np.cross(row, column)
    order = sorted(slices, key=lambda item: float(np.asarray(item.position) @ normal))
    positions = np.array([item.position for item in order])
    origin, step, rounded = _regular(source, order, positions, normal)
    affine = np.eye(4)
    # PixelSpacing is the distance of rows first; the index x runs over the columns, along a row.
    affine[:3, 0] = row * spacing[1]
    affine[:3, 1] = column * spacing[0]
    affine[:3, 2], affine[:3, 3] = step, origin
    affine = LPS_TO_RAS @ affine
    check_affine(str(source), affine)
    return order, affine, remarks + rounded


def _usual(values: Sequence[np.ndarray | None]) -> np.ndarray:
    return np.array(Counter(tuple(map(float, np.asarray(value))) for value in values).most_common(1)[0][0])


def _directions(source: Path, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    row, column = cosines[:3], cosines[3:]
    off = np.abs([row @ row - 1, column @ column - 1, row @ column]).max()
    if off > _ORTHONORMAL:
        shown = ", ".join(f"{value:.6g}" for value in cosines)
        raise ValueError(
            f"{source}: ImageOrientationPatient is {shown}, expected two orthogonal unit vectors; export the series "
            "again"
        )
    if off <= _FEW_DIGITS:
        return row, column, ()
    # The nearest pair of orthogonal unit vectors.
    left, _, right = np.linalg.svd(np.stack([row, column]), full_matrices=False)
    row, column = left @ right
    return row, column, ("the direction cosines are written with few digits; the nearest rotation is used",)


def _regular(
    source: Path, order: list[DicomSlice], positions: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """First position, step, and a remark where the positions are rounded."""
    heights = positions @ normal
    steps = np.diff(heights)
    _refuse_doubles(source, order, heights)
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    strict = max(_STEP_ABSOLUTE, _STEP_RELATIVE * usual)
    units = np.array([_unit(values) for values in positions.T])
    slack = float(np.abs(normal) @ units) / 2
    # Two rounded steps differ by two units at most; whether rounding explains all of them is asked below.
    tolerance = max(strict, min(4 * slack * (1 + 1e-6), usual / 2)) if slack <= _ROUNDING_SHARE * usual else strict
    _refuse_steps(source, order, heights, usual, tolerance)
    if np.abs(steps - usual).max() <= strict:
        step = (positions[-1] - positions[0]) / (len(order) - 1)
        line = positions[0] + np.arange(len(order))[:, None] * step
        _refuse_displaced(source, order, np.linalg.norm(positions - line, axis=1), 2 * strict)
        return positions[0], step, ()
    index = np.arange(len(order))
    fitted = np.polynomial.polynomial.polyfit(index, positions, 1)
    if not all(_explained(values, unit) for values, unit in zip(positions.T, units, strict=True)):
        distances = np.linalg.norm(positions - (fitted[0] + index[:, None] * fitted[1]), axis=1)
        _refuse_displaced(source, order, distances, float(distances.max()) / 2)
    written = max(units)
    remark = f"the positions are written to {written:g} mm; the equally spaced grid that they are rounded from is used"
    return fitted[0], fitted[1], (remark,)


def _unit(values: np.ndarray) -> float:
    """Last decimal that numbers are written with, in millimetres; 0 for many decimals, or none."""
    noise = 1e-7 + 2e-7 * np.abs(values)  # of single precision, in which some programs keep them
    if (np.abs(values - np.round(values)) <= noise).all():
        return 0.0
    for decimals in _DECIMALS:
        if (np.abs(values - np.round(values, decimals)) <= noise).all():
            return float(10.0**-decimals)
    return 0.0


def _explained(values: np.ndarray, unit: float) -> bool:
    """Whether there are equally spaced numbers that give these when they are rounded, or cut off, to the unit."""
    from scipy.optimize import linprog

    half = max(unit / 2, _EXACT) * (1 + 1e-6) + 1e-6
    rounded = (values - half, values + half)
    cut = (
        np.where(values > 0, values - 1e-6, values - 2 * half),
        np.where(values < 0, values + 1e-6, values + 2 * half),
    )
    line = np.stack([np.ones(len(values)), np.arange(len(values))], axis=1)
    for low, high in (rounded, cut):
        limits = np.concatenate([high, -low])
        found = linprog([0, 0], A_ub=np.concatenate([line, -line]), b_ub=limits, bounds=(None, None), method="highs")
        if found.status == 0:
            return True
    return False


def _refuse_doubles(source: Path, order: list[DicomSlice], heights: np.ndarray) -> None:
    problems = Problems(str(source))
    for k in np.flatnonzero(np.diff(heights) < _SAME_POSITION):
        problems.add(
            "slices at the same position",
            f"{order[k].name} and {order[k + 1].name}: both at {heights[k]:.3f} mm",
            "remove the doubles; split time points, echoes and b-values into folders of their own",
        )
    problems.raise_if_any()


def _refuse_steps(source: Path, order: list[DicomSlice], heights: np.ndarray, usual: float, tolerance: float) -> None:
    problems = Problems(str(source))
    steps = np.diff(heights)
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


def _refuse_displaced(source: Path, order: list[DicomSlice], distances: np.ndarray, allowed: float) -> None:
    problems = Problems(str(source))
    for k in np.flatnonzero(distances > allowed):
        problems.add(
            "displaced slices",
            f"{order[k].name}: {distances[k]:.3f} mm beside the line through the slices",
            "give one equally spaced series; resample it to NIfTI if it was scanned so",
        )
    problems.raise_if_any()
