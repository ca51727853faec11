# SPDX-License-Identifier: Apache-2.0
"""The families of the paper protocol and their options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

__all__ = ["FAMILY_NAMES", "OPTION_FAMILIES", "PaperOptions", "paper_options"]

#: The families: which module computes each, and how they differ, stands in :mod:`sa2_monai.evaluation.paper`.
FAMILY_NAMES = ("image", "image_ensemble", "pooled", "cell", "volume", "image_2d", "size_range")

_IMAGES = ("image", "image_ensemble")
_ON_GRID = ("pooled", "cell", "image_2d", "size_range")
#: Option -> the families that it belongs to.
OPTION_FAMILIES: dict[str, tuple[str, ...]] = {
    "grid": (*_IMAGES, *_ON_GRID),
    "plus_one": ("image_ensemble",),
    "divisor": _IMAGES,
    "reference_foreground": _IMAGES,
    "ignore_value": ("size_range",),
    "nuclei": ("cell",),
    "resize_predictions": _ON_GRID,
    "background": ("volume",),
    "size": ("size_range",),
    "sizes": ("size_range",),
}


@dataclass(frozen=True)
class PaperOptions:
    """Options of the paper protocol; each belongs to the families named with it.

    Args:
        grid: rows and columns on which the metric is computed, or one number for both; ``None`` is the published grid
            (224; ``size_range`` 512). Not for ``volume``.
        plus_one: the Dice of the MoNuSeg ensemble, ``(2I+1)/(|P|+|R|+1e-5+1)`` (``image_ensemble``).
        divisor: number of test images that the sum is divided by, where it is not the number of cases; as published 80
            (GlaS) or 14 (MoNuSeg) (``image``, ``image_ensemble``).
        reference_foreground: value that every foreground pixel of a reference has before it is resized, 1 to 255;
            ``None`` keeps the values of the file as published: 255 or the number of the instance (``image``,
            ``image_ensemble``).
        ignore_value: value of the reference whose pixels are left out where it is none of a class: neither in
            ``label_values`` nor, without them, 255 for the foreground of two classes (``size_range``).
        nuclei: masks of the nuclei, whose pixels become background: case -> path or array, a folder, or ``"image"`` for
            the last channel of the images (``cell``).
        resize_predictions: predictions have the size of the reference's file instead of that of the grid and are
            brought onto it by the nearest neighbour that undoes the way out of the ``paper`` view, exactly for images
            larger than the grid (``pooled``, ``cell``, ``image_2d``, ``size_range``).
        background: the background is a class too, as in the published mean of HSA-UNet (``volume``).
        size: size of an image's largest object, ``"object"`` (pixels of the largest 8-connected object of one class) or
            ``"contour"`` (area inside its outer contour, as published) (``size_range``).
        sizes: limits of the cumulative size subsets in percent of the image (``size_range``).

    Raises:
        ValueError: for a grid, size, divisor, or foreground value that is not possible.
    """

    grid: int | Sequence[int] | None = None
    plus_one: bool = False
    divisor: int | None = None
    reference_foreground: int | None = None
    ignore_value: int | None = 255
    nuclei: Mapping[str, Any] | str | None = None
    resize_predictions: bool = False
    background: bool = False
    size: str = "object"
    sizes: Sequence[float] = (0.5, 1, 2, 3, 5, 10, 100)

    def __post_init__(self) -> None:
        if self.grid is not None:
            size = (self.grid, self.grid) if isinstance(self.grid, int) else tuple(self.grid)
            if len(size) != 2 or any(int(n) != n or n < 1 for n in size):
                raise ValueError(f"grid is {self.grid!r}, expected a positive number or (rows, columns)")
        if self.size not in ("object", "contour"):
            raise ValueError(f"size is {self.size!r}, expected 'object' or 'contour'")
        for name, high in (("divisor", None), ("reference_foreground", 255)):
            number = getattr(self, name)
            if number is None:
                continue
            whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
            if not whole or number < 1 or (high is not None and number > high):
                what = "the number of test images, a whole number from 1" if high is None else f"1 to {high}"
                raise ValueError(f"{name} is {number!r}, expected {what}")

    def grid_size(self, published: int) -> tuple[int, int]:
        """Return (rows, columns) of the grid; ``published`` when none is set."""
        if self.grid is None:
            return published, published
        if isinstance(self.grid, int):
            return self.grid, self.grid
        rows, columns = self.grid
        return int(rows), int(columns)


def paper_options(given: PaperOptions | Mapping[str, Any] | None, family: str) -> PaperOptions:
    """Check the options of the paper protocol against the family.

    Args:
        given: the options, as an object or by name; ``None`` for those of the publication.
        family: name of the family.

    Raises:
        ValueError: for an unknown name, a value that is not possible, or an option that the family does not have (set
            to anything else than its default).
    """
    names = [item.name for item in fields(PaperOptions)]
    if not isinstance(given, PaperOptions):
        unknown = [str(name) for name in given or {} if name not in names]
        if unknown:
            raise ValueError(f"paper has the options {unknown}, expected some of {', '.join(names)}")
        given = PaperOptions(**(given or {}))
    for item in fields(PaperOptions):
        value, families = getattr(given, item.name), OPTION_FAMILIES[item.name]
        if family not in families and value != item.default:
            raise ValueError(
                f"paper option {item.name} is {value!r}, but the family {family!r} has no such option, only "
                f"{', '.join(families)}; leave it out"
            )
    return given
