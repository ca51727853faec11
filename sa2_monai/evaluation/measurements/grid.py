# SPDX-License-Identifier: Apache-2.0
"""Where the pixels of a case lie, in millimetres, where anybody says it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sa2_monai.io.images.pixel_size import pixel_size

__all__ = ["Grid", "find_grid"]

_SQUARE = 1e-3  # relative difference of two sides that count as equal


@dataclass(frozen=True)
class Grid:
    """Steps along the axes of a map.

    Attributes:
        axes: mm per step along each axis of the array, as columns, (2 or 3, axes); ``None`` where nobody says it.
        source: who says it: a path, or ``"spacing"``; empty for nobody.
    """

    axes: np.ndarray | None = None
    source: str = ""

    @property
    def measure(self) -> float:
        """Area of a pixel in mm², volume of a voxel in mm³; ``NaN`` where it is not known."""
        if self.axes is None:
            return float("nan")
        return float(np.sqrt(np.linalg.det(self.axes.T @ self.axes)))

    @property
    def side(self) -> float:
        """Side of a square pixel in mm; ``NaN`` where it is not known, or pixels are not square."""
        if self.axes is None or self.axes.shape[1] != 2:
            return float("nan")
        rows, columns = np.linalg.norm(self.axes, axis=0)
        square = abs(rows - columns) <= _SQUARE * rows and abs(self.axes[:, 0] @ self.axes[:, 1]) <= _SQUARE * rows**2
        return float(rows) if square else float("nan")


def find_grid(
    image: str | os.PathLike[str] | None,
    affine: np.ndarray | None = None,
    spacing: float | Sequence[float] | None = None,
    ndim: int = 2,
) -> Grid:
    """The grid of a case: given, or of a volume by its affine, or of an image by its file; never guessed.

    Args:
        image: file of a 2D image; ``None`` for none.
        affine: of a volume, (4, 4), index to mm.
        spacing: mm per pixel of images, rows and columns or one number, which overrules their files.
        ndim: axes of the map.

    Raises:
        ValueError: a spacing that is none, or for a volume, which has its own.
    """
    if affine is not None:
        if spacing is not None:
            raise ValueError(f"{image}: a spacing is given, but its file holds one; leave --spacing out")
        return Grid(np.asarray(affine, dtype=np.float64)[:3, :ndim], str(image or "affine"))
    if spacing is not None:
        steps = np.broadcast_to(np.asarray(spacing, dtype=np.float64), (ndim,))
        if not (np.isfinite(steps).all() and (steps > 0).all()):
            raise ValueError(f"spacing is {spacing!r}, expected numbers above 0")
        return Grid(np.diag(steps), "spacing")
    found = None if image is None or not Path(image).is_file() else pixel_size(image)
    return Grid() if found is None else Grid(np.diag(found), str(image))
