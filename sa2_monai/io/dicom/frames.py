# SPDX-License-Identifier: Apache-2.0
"""Frames of enhanced multi-frame images (CT, MR, PET; legacy converted ones, too) as slices of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.dicom.files import read_dataset
from sa2_monai.io.dicom.slices import DicomSlice, numbers_of, rescale_of, text_of
from sa2_monai.io.problems import Problems

__all__ = ["split_frames"]

_SAME_POSITION = 1e-3
# What may tell frames at one position apart: words for messages, functional group, element.
_DIMENSIONS = (
    ("stacks", "FrameContentSequence", "StackID"),
    ("time points", "FrameContentSequence", "TemporalPositionIndex"),
    ("time points", "TemporalPositionSequence", "TemporalPositionTimeOffset"),
    ("echoes", "MREchoSequence", "EffectiveEchoTime"),
    ("b-values", "MRDiffusionSequence", "DiffusionBValue"),
    ("cardiac phases", "CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    ("image components", "MRImageFrameTypeSequence", "ComplexImageComponent"),
    ("kinds of frames", "MRImageFrameTypeSequence", "FrameType"),
    ("kinds of frames", "CTImageFrameTypeSequence", "FrameType"),
    ("X-ray energies", "CTXRayDetailsSequence", "KVP"),
)


def split_frames(source: Path, images: Sequence[DicomSlice]) -> list[DicomSlice]:
    """Slices of a series; a multi-frame image gives one for every frame.

    Args:
        source: folder or file, for messages.
        images: images of one series.

    Returns:
        The slices; position, orientation, spacing and rescale of a frame are those of its functional groups.

    Raises:
        ValueError: a multi-frame image without functional groups, or with another number of them than frames; or
            frames of several stacks, time points, echoes, ... (counted).
    """
    problems = Problems(str(source))
    slices: list[DicomSlice] = []
    groups: list[dict[str, str]] = []
    for item in images:
        dataset = read_dataset(item.path) if item.frames > 1 or _is_enhanced(item) else None
        if dataset is None:
            slices.append(item)
            continue
        per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
        if len(per_frame) != item.frames:
            what = "no functional groups" if not per_frame else f"functional groups for {len(per_frame)}"
            problems.add(
                "multi-frame images whose frames have no place in the patient",
                f"{item.path.name}: {item.frames} frames, {what}",
                "convert them to one file per slice, or to NIfTI",
            )
            continue
        shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
        for k, group in enumerate(per_frame):
            slices.append(_frame(item, k, group, shared))
            groups.append(
                {f"{g}.{e}": text_of(part, e) for _, g, e in _DIMENSIONS if (part := _part(group, shared, g))}
            )
    problems.raise_if_any()
    if groups:
        _refuse_several(source, [item for item in slices if item.enhanced], groups)
    return slices


def _is_enhanced(item: DicomSlice) -> bool:
    """Whether even a single frame has its geometry in functional groups."""
    return item.position is None and item.orientation is None


def _part(group: Any, shared: Any, name: str) -> Any:
    """The item of a functional group, of the frame or of all frames."""
    for holder in (group, shared):
        if holder is not None and holder.get(name):
            return holder[name][0]
    return None


def _frame(item: DicomSlice, index: int, group: Any, shared: Any) -> DicomSlice:
    def numbers(name: str, tag: str, count: int) -> np.ndarray | None:
        part = _part(group, shared, name)
        return None if part is None else numbers_of(part, tag, count)

    placed = replace(
        item,
        enhanced=True,
        frame=index,
        position=numbers("PlanePositionSequence", "ImagePositionPatient", 3),
        orientation=numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        spacing=numbers("PixelMeasuresSequence", "PixelSpacing", 2),
    )
    transformation = _part(group, shared, "PixelValueTransformationSequence")
    if transformation is None:
        return placed
    slope, intercept, bad = rescale_of(transformation)
    kind = text_of(transformation, "RescaleType")
    return replace(placed, slope=slope, intercept=intercept, bad_rescale=bad, rescale_type=kind)


def _refuse_several(source: Path, slices: list[DicomSlice], groups: list[dict[str, str]]) -> None:
    places = {
        (*np.round(item.position / _SAME_POSITION), *np.round(item.orientation, 2))
        for item in slices
        if item.position is not None and item.orientation is not None
    }
    missing = sum(item.position is None or item.orientation is None for item in slices)
    counts = {
        what: len(values)
        for what, group, element in reversed(_DIMENSIONS)
        if len(values := {found.get(f"{group}.{element}", "") for found in groups}) > 1
    }
    if "stacks" not in counts and len(places) + missing == len(slices):
        return
    what = ", ".join(f"{count} {name}" for name, count in reversed(counts.items())) or "several frames at one position"
    raise ValueError(
        f"{source}: holds {what} ({len(slices)} frames at {len(places)} positions), expected one volume; save each as "
        "a file of its own, or convert it to NIfTI"
    )
