# SPDX-License-Identifier: Apache-2.0
"""Where a slide has tissue, so that the glass around it is not predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter
from skimage.filters import threshold_otsu

__all__ = ["Tissue", "find_tissue"]

# Optical density that is glass in any case, and one that is tissue in any case: Otsu's threshold stays between both,
# so that a slide that is full of tissue is not cut into halves.
_GLASS, _DENSE = 0.03, 0.06
# The same of fluorescence, in parts of the range between the darkest and the brightest.
_DARK, _BRIGHT = 0.02, 0.25
_MARGIN = 3  # pixels of the overview around what was found


@dataclass(frozen=True)
class Tissue:
    """A mask of a whole slide.

    Attributes:
        mask: bool, some hundred pixels along each side.
        kind: ``"stained"`` or ``"fluorescence"``.
    """

    mask: np.ndarray
    kind: str

    @property
    def share(self) -> float:
        """Of the slide, 0 to 1."""
        return float(self.mask.mean())

    def touches(self, top: float, left: float, bottom: float, right: float) -> bool:
        """Whether there is tissue in a rectangle.

        Args:
            top: upper side, in parts of the height of the slide.
            left: left side, in parts of its width.
            bottom: lower side.
            right: right side.
        """
        rows, columns = self.mask.shape
        part = self.mask[
            math.floor(top * rows) : max(math.ceil(bottom * rows), math.floor(top * rows) + 1),
            math.floor(left * columns) : max(math.ceil(right * columns), math.floor(left * columns) + 1),
        ]
        return bool(part.any())


def find_tissue(overview: np.ndarray, kind: str = "auto") -> Tissue:
    """Find tissue in a small image of the slide.

    Stained: Otsu's threshold of the optical density (the mean of the colours, against the brightest glass of the
    image), held between 0.03 and 0.06. Fluorescence: Otsu's threshold of the brightest channel, held between 2 % and
    25 % of the range from the darkest to the brightest pixel, so that an empty slide is predicted: nothing tells its
    noise from dim objects. A margin of three pixels is added.

    Args:
        overview: (rows, columns, C) in [0, 1].
        kind: ``"stained"``, ``"fluorescence"`` or ``"auto"``: stained where there are three channels, the median of
            which is above one half, or one such channel.

    Returns:
        The mask.
    """
    if kind == "auto":
        kind = "stained" if overview.shape[2] in (1, 3) and float(np.median(overview)) > 0.5 else "fluorescence"
    if kind == "stained":
        white = np.maximum(np.percentile(overview, 99.5, axis=(0, 1)), 0.7)
        measure = -np.log10(np.clip(overview / white, 1 / 255, 1)).mean(axis=2)
        low, high = _GLASS, _DENSE
    else:
        brightest = overview.max(axis=2)
        darkest, top = float(np.percentile(brightest, 1)), float(brightest.max())
        measure = (brightest - darkest) / max(top - darkest, 1 / 255)
        low, high = _DARK, _BRIGHT
    measure = gaussian_filter(measure, 1)  # noise of single pixels is no tissue
    otsu = threshold_otsu(measure) if measure.min() < measure.max() else high
    mask = measure > min(max(float(otsu), low), high)
    square = np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), dtype=bool)
    return Tissue(binary_dilation(mask, square), kind)
