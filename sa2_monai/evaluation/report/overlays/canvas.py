# SPDX-License-Identifier: Apache-2.0
"""The image under an overlay: at display size, in eight bits, of any type and brightness."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

__all__ = ["display_size", "resized", "shown_image"]

_SMALL, _LARGE = 512, 1024  # pixels of the longer side that an image is enlarged or reduced to
_NO_IMAGE = 64  # grey


def display_size(height: int, width: int, small: int = _SMALL, large: int = _LARGE) -> tuple[int, int]:
    """Rows and columns of the drawing of a mask, by its longer side.

    Args:
        height: rows of the mask.
        width: columns of the mask.
        small: below that a mask is enlarged by a whole factor, to this size or a little more.
        large: pixels that it is reduced to.
    """
    longer = max(height, width)
    if longer < small:
        factor = float(math.ceil(small / longer))
    else:
        factor = min(1.0, large / longer)
    return max(1, round(height * factor)), max(1, round(width * factor))


def resized(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest neighbour at half-pixel centres."""
    rows, columns = (((np.arange(m) + 0.5) * n / m).astype(np.int64) for n, m in zip(labels.shape, size, strict=True))
    return labels[np.ix_(rows, columns)]


def shown_image(image: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """The image as uint8 ``(rows, columns, 3)`` that may be written to; dark grey where there is none."""
    if image is None:
        return np.full((*size, 3), _NO_IMAGE, dtype=np.uint8)
    pixels = _to_rgb(image)
    mode = Image.Resampling.NEAREST if pixels.shape[0] < size[0] else Image.Resampling.BILINEAR
    return np.array(Image.fromarray(pixels).resize((size[1], size[0]), mode))


def _to_rgb(image: np.ndarray) -> np.ndarray:
    """Bring an image of any type to uint8 RGB; 16-bit and dark images are stretched between their percentiles."""
    pixels = np.asarray(image)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] not in (1, 3):
        pixels = pixels[:, :, :3] if pixels.shape[2] > 3 else pixels[:, :, :1]
    values = pixels.astype(np.float64)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [0.5, 99.5]) if known.size else (0.0, 0.0)
    if pixels.dtype == np.uint8 and (high - low >= 0.4 * 255 or high == low):
        low, high = 0.0, 255.0
    elif high == low:  # nothing to see: one grey
        low, high = low - 1, low + 3
    scaled = np.clip((np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / (high - low), 0, 1) * 255
    return np.repeat(scaled, 3 // scaled.shape[2], axis=2).round().astype(np.uint8)
