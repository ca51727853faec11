# SPDX-License-Identifier: Apache-2.0
"""Axial slices of a volume as images, whatever the order and direction of the axes in the file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sa2_monai.io.volumes.geometry import VolumeHeader
from sa2_monai.io.volumes.read import Volume

__all__ = ["GREY", "axial_slices", "number_of_slices"]


def axial_slices(volume: Volume) -> np.ndarray:
    """Slices across the body, seen as radiologists see them.

    Args:
        volume: volume with axes in any order, such as KiTS23's, whose first axis counts the slices.

    Returns:
        View (slice, row, column): rows run to the back, columns to the patient's left; slices in the order of the file.
    """
    (z, _), (y, to_front), (x, to_right) = _axes(volume.header)
    slices = volume.array.transpose(z, y, x)
    return slices[:, :: -1 if to_front else 1, :: -1 if to_right else 1]


def number_of_slices(header: VolumeHeader) -> int:
    """Number of slices across the body.

    Args:
        header: header of a volume, see :func:`~sa2_monai.data.volume_header`.
    """
    return header.shape[_axes(header)[0][0]]


def _axes(header: VolumeHeader) -> list[tuple[int, bool]]:
    """Axes of the array along the body, front to back, left to right, and whether they run to head, front, right."""
    import nibabel as nib

    turn = nib.orientations.io_orientation(header.affine)
    found = [int(np.flatnonzero(turn[:, 0] == axis)[0]) for axis in (2, 1, 0)]
    return [(axis, bool(turn[axis, 1] > 0)) for axis in found]


def _clip(values: np.ndarray) -> np.ndarray:
    return np.clip(np.trunc(values), 0, 255).astype(np.uint8)


def _maximum(values: np.ndarray) -> np.ndarray:
    highest = float(values.max(initial=0))
    if highest <= 0:  # a slice of air only
        return np.zeros(values.shape, np.uint8)
    scaled = np.clip(values, 0, None).astype(np.float32) / np.float32(highest) * np.float32(255)
    return scaled.astype(np.uint8)


def _window(low: float, high: float) -> Callable[[np.ndarray], np.ndarray]:
    def scale(values: np.ndarray) -> np.ndarray:
        inside = np.clip((values.astype(np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
        return np.rint(inside * 255).astype(np.uint8)

    return scale


def _percentiles(volume: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    low, high = np.percentile(volume, (0.5, 99.5))
    return _window(float(low), float(high)) if high > low else lambda values: np.zeros(values.shape, np.uint8)


#: Functions that make 8-bit grey of a slice, by name; each is made of the whole volume.
GREY: dict[str, Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "cut off outside 0 to 255": lambda volume: _clip,
    "window -79 to 304": lambda volume: _window(-79, 304),
    "maximum of the slice": lambda volume: _maximum,
    "percentiles 0.5 and 99.5 of the volume": _percentiles,
}
