# SPDX-License-Identifier: Apache-2.0
"""A small image of a whole slide, from its smallest level that is large enough."""

from __future__ import annotations

import math

import numpy as np

from sa2_monai.io.images.read import image_of
from sa2_monai.io.readers.images import unit_range
from sa2_monai.io.slides.slide import Slide

__all__ = ["read_overview"]

_LONGEST = 2048  # pixels of the longer side at most
_AT_ONCE = 2**23  # pixels that are read


def read_overview(slide: Slide) -> np.ndarray:
    """The slide, its longer side about 1024 to 2048 pixels where it has as many: means of squares of pixels.

    Args:
        slide: open.

    Returns:
        (rows, columns, C), float32 in [0, 1]; it covers the slide up to a rest of less than one of its pixels.
    """
    large = [level for level, size in enumerate(slide.levels) if max(size.height, size.width) >= _LONGEST // 2]
    level = large[-1] if large else 0
    size = slide.levels[level]
    factor = math.ceil(max(size.height, size.width) / _LONGEST)
    rows, columns = math.ceil(size.height / factor), math.ceil(size.width / factor)
    step = max(1, _AT_ONCE // (size.width * factor))
    bands = []
    for row in range(0, rows, step):
        top, bottom = row * factor, min((row + step) * factor, size.height)
        samples = slide.read(level, top, 0, bottom - top, size.width)
        band = unit_range(image_of(samples, slide.path), slide.path)
        # What is missing at the lower and right border repeats the last pixels.
        fill = ((0, -len(band) % factor), (0, columns * factor - size.width), (0, 0))
        band = np.pad(band, fill, mode="edge")
        bands.append(band.reshape(-1, factor, columns, factor, band.shape[2]).mean(axis=(1, 3)))
    return np.concatenate(bands)
