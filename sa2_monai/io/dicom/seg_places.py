# SPDX-License-Identifier: Apache-2.0
"""Where the frames of a DICOM segmentation object lie, and the distance of slices to count them in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.dicom.series import DicomSeries
from sa2_monai.io.volumes.geometry import LPS_TO_RAS

__all__ = [
    "NEAREST",
    "ROUNDED",
    "are_multiples",
    "elsewhere",
    "frame_places",
    "set_step",
    "step_of_series",
    "tolerance",
    "written_step",
]

# A frame lies on a slice that is this share of a step away.
_NEAR = 0.05
#: Or that much (mm), where positions are rounded to 0.1 mm.
ROUNDED = 0.1
#: But never a larger share of a step.
NEAREST = 0.25


def frame_places(path: Path, dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """ImagePositionPatient of every frame (frame, 3), and the normal of the first one, LPS.

    Args:
        path: the file, for messages.
        dataset: its content.

    Raises:
        ValueError: no frames, or one without a place.
    """
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if not frames:
        raise ValueError(f"{path}: has no frames; export it again")

    def part(frame: Any, name: str) -> Any:
        return (frame if name in frame else shared)[name][0]

    try:
        positions = np.array([part(frame, "PlanePositionSequence").ImagePositionPatient for frame in frames], float)
        cosines = np.array(part(frames[0], "PlaneOrientationSequence").ImageOrientationPatient, float)
        return positions.reshape(len(frames), 3), np.cross(cosines[:3], cosines[3:])
    except Exception as error:
        raise ValueError(f"{path}: damaged, or a frame has no place in the patient ({error})") from error


def step_of_series(path: Path, positions: np.ndarray, normal: np.ndarray, source: DicomSeries) -> float:
    """Step of the series along the normal of the frames; they must lie on its planes.

    highdicom would say only that there is no volume.

    Args:
        path: the file, for messages.
        positions: of its frames (frame, 3), LPS.
        normal: of its frames, LPS.
        source: the series.

    Raises:
        ValueError: a frame lies between the planes.
    """
    lps = LPS_TO_RAS @ source.affine
    steps = np.abs(normal @ lps[:3, :3])
    step = float(steps[np.argmax(steps / np.linalg.norm(lps[:3, :3], axis=0))])
    heights = (positions - lps[:3, 3]) @ normal / step
    off = float(np.abs(heights - np.rint(heights)).max()) * step
    if off > tolerance(step):
        raise elsewhere(path, off)
    return step


def _measures(dataset: Any) -> list[Any]:
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    groups = (shared, *dataset.PerFrameFunctionalGroupsSequence)
    return [item for group in groups for item in group.get("PixelMeasuresSequence") or []]


def written_step(dataset: Any) -> float:
    """SpacingBetweenSlices, or 0 where it is missing or no distance.

    Args:
        dataset: content of a file.
    """
    for measures in _measures(dataset):
        try:
            step = float(measures.get("SpacingBetweenSlices") or 0)
        except (TypeError, ValueError):
            return 0.0
        return step if step > 0 else 0.0
    return 0.0


def are_multiples(heights: np.ndarray, step: float) -> bool:
    """Whether frames lie whole numbers of steps apart.

    Args:
        heights: of frames along their normal, millimetres.
        step: the distance, millimetres; 0 is none.
    """
    if not step:
        return False
    counts = (heights - heights.min()) / step
    return bool(np.abs(counts - np.rint(counts)).max() * step <= tolerance(step))


def set_step(dataset: Any, step: float | None) -> None:
    """Set the distance of slices that highdicom counts in: empty slices may be missing in the file.

    Args:
        dataset: content of a file; changed in place.
        step: millimetres; ``None`` leaves the smallest distance of two frames.
    """
    from pydicom.valuerep import format_number_as_ds

    for measures in _measures(dataset):
        if step is not None:
            measures.SpacingBetweenSlices = format_number_as_ds(step)
        elif "SpacingBetweenSlices" in measures:
            del measures.SpacingBetweenSlices


def tolerance(step: float) -> float:
    """Distance from its slice (mm) at which a frame still belongs to it.

    Args:
        step: distance of slices, millimetres.
    """
    return min(max(_NEAR * step, ROUNDED), NEAREST * step)


def elsewhere(path: Path, off: float) -> ValueError:
    """The error of a file that does not lie on the grid of a series.

    Args:
        path: the file.
        off: how far its frames lie from the slices, millimetres.
    """
    return ValueError(
        f"{path}: frames lie up to {off:.3g} mm beside the slices of the grid; it belongs to another series"
    )
