# SPDX-License-Identifier: Apache-2.0
"""The plane of a case that an image shows: an image as it is, of a volume the slice with most errors."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np

from sa2_monai.evaluation.cases.images import case_image, case_volume
from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.io.volumes.geometry import scan_axis

__all__ = ["Plane", "case_plane", "plane_of"]

_log = logging.getLogger(__name__)
_AIR, _WINDOW = -500, (-160, 240)  # HU; a soft-tissue window


class Plane(NamedTuple):
    """What is drawn of a case.

    Attributes:
        prediction: class values ``(H, W)``, or ``None`` for a missing prediction.
        reference: class values ``(H, W)``; pixels are square.
        image: ``(H', W')`` or ``(H', W', C)`` of the same field of view, or ``None``.
        place: which slice, for the legend; empty for images.
        position: the same as a number from 0; ``None`` for images.
    """

    prediction: np.ndarray | None
    reference: np.ndarray
    image: np.ndarray | None
    place: str
    position: int | None = None


def case_plane(result: EvaluationResult, case: str, focus: int | None = None, index: int | None = None) -> Plane:
    """What is drawn of a case of an evaluation, which is read again.

    Args:
        result: an evaluation; an image that cannot be read is left out with a message in the log.
        case: its name.
        focus: see :func:`plane_of`.
        index: see there.

    Raises:
        OSError: when a mask is gone.
        ValueError: when it cannot be read any more.
    """
    item = result.load_case(case)
    try:
        return plane_of(item, result.images.get(case), focus, index)
    except (OSError, ValueError, RuntimeError) as error:
        _log.warning("overlay of case %s without its image: %s", case, error)
        return plane_of(item, None, focus, index)


def plane_of(item: LoadedCase, image: Any, focus: int | None = None, index: int | None = None) -> Plane:
    """Choose what is drawn of a case.

    Volumes with an affine are shown as radiologists see them: axial slices with anterior above and the patient's right
    on the left. Slices run along the axis with the widest spacing, the one that the volume was scanned in.

    Args:
        item: the case.
        image: path or array of the image on the grid of the reference, or ``None``.
        focus: class whose errors choose the slice of a volume; ``None`` for those of all.
        index: slice of a volume, of the plane of another prediction; ``None`` for the one with most errors.

    Raises:
        OSError: when the image cannot be opened.
        ValueError: when it cannot be read, or does not lie on the grid of the reference.
    """
    if item.reference.ndim == 2:
        return Plane(item.prediction, item.reference, case_image(image), "")
    affine = item.geometry.affine
    prediction, reference = item.prediction, item.reference
    volume = case_volume(image, reference.shape, affine)
    spacing = np.asarray(item.geometry.spacing)
    if affine is not None:
        prediction, reference, volume, spacing = _as_seen(affine, prediction, reference, volume, spacing)
    axis = scan_axis(spacing)
    others = tuple(a for a in range(3) if a != axis)
    if index is None:
        guess = np.zeros_like(reference) if prediction is None else prediction
        errors = guess != reference if focus is None else (guess == focus) != (reference == focus)
        wrong = np.count_nonzero(errors, axis=others)
        if not wrong.any():
            wrong = np.count_nonzero(reference, axis=others)
        index = int(np.argmax(wrong))
    upright = affine is not None

    def cut(array: np.ndarray | None) -> np.ndarray | None:
        if array is None:
            return None
        plane = np.take(array, index, axis=axis)
        # array axes are left, posterior, superior: in an image rows go to posterior or to inferior
        return plane if not upright else plane.T if axis == 2 else plane.T[::-1]

    steps = spacing[list(others)] if not upright else spacing[list(others)][::-1]
    labels = [_square(array, steps) for array in (cut(prediction), cut(reference))]
    shown = cut(volume)
    if shown is not None and shown.dtype.kind in "if" and float(shown.min()) <= _AIR:
        shown = np.clip(shown, *_WINDOW)
    name = ("sagittal", "coronal", "axial")[axis] if upright else "slice"
    assert labels[1] is not None
    return Plane(labels[0], labels[1], shown, f"{name} {index + 1}/{reference.shape[axis]}", index)


def _as_seen(affine: np.ndarray, *arrays: Any) -> tuple[Any, ...]:
    """Turn the axes to left, posterior, superior; the last array is the spacing."""
    from nibabel import orientations

    *volumes, spacing = arrays
    turn = orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt("LPS"))
    turned = [None if volume is None else orientations.apply_orientation(volume, turn) for volume in volumes]
    order = np.argsort(turn[:, 0])
    return (*turned, spacing[order])


def _square(labels: np.ndarray | None, steps: np.ndarray) -> np.ndarray | None:
    """Repeat rows or columns so that pixels become square."""
    if labels is None:
        return None
    sizes = [max(1, round(n * step / steps.min())) for n, step in zip(labels.shape, steps, strict=True)]
    rows, columns = (((np.arange(m) + 0.5) * n / m).astype(np.int64) for n, m in zip(labels.shape, sizes, strict=True))
    return labels[np.ix_(rows, columns)]
