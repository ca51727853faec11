# SPDX-License-Identifier: Apache-2.0
"""The published resize of reference masks: 8-bit bilinear of OpenCV, then every value above 0 is foreground.

OpenCV resizes 8-bit images in fixed point: half-pixel centres, no antialiasing, weights rounded to 1/2048, a
horizontal pass that keeps 11 fractional bits and a vertical pass that drops 4 bits before and 18 after the product.
The rounding decides which border pixels stay above 0, so it is repeated here bit by bit (equal to OpenCV 4.11 and 5.0
on masks of random sizes, labels and noise).
"""

from __future__ import annotations

import numpy as np

__all__ = ["published_mask", "resize_bilinear_8bit"]

_ONE = np.float32(2048)


def _weights(fraction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = np.rint((np.float32(1) - fraction) * _ONE).astype(np.int64)
    return first, np.rint(fraction * _ONE).astype(np.int64)


def _positions(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the left neighbour and the fraction to the right of it, in single precision as OpenCV keeps it."""
    scale = 1.0 / (target / source)
    position = ((np.arange(target) + 0.5) * scale - 0.5).astype(np.float32)
    index = np.floor(position).astype(np.int64)
    return index, position - index.astype(np.float32)


def resize_bilinear_8bit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an 8-bit grey image as OpenCV's bilinear mode does.

    Args:
        image: uint8 array ``(H, W)``.
        size: rows and columns of the result.

    Returns:
        uint8 array of that size; a copy when the size does not change.

    Raises:
        ValueError: for another data type or number of axes.
    """
    if image.dtype != np.uint8 or image.ndim != 2:
        raise ValueError(f"image has data type {image.dtype} and shape {image.shape}, expected uint8 (H, W)")
    height, width = image.shape
    if (height, width) == tuple(size):
        return image.copy()
    column, x_fraction = _positions(width, size[1])
    outside = (column < 0) | (column >= width - 1)
    x_fraction[outside] = 0
    column = np.clip(column, 0, width - 1)
    row, y_fraction = _positions(height, size[0])
    a0, a1 = _weights(x_fraction)
    b0, b1 = _weights(y_fraction)
    pixels = image.astype(np.int64)
    lines = pixels[:, column] * a0 + pixels[:, np.minimum(column + 1, width - 1)] * a1
    upper = lines[np.clip(row, 0, height - 1)] >> 4
    lower = lines[np.clip(row + 1, 0, height - 1)] >> 4
    value = ((b0[:, None] * upper) >> 16) + ((b1[:, None] * lower) >> 16)
    return ((value + 2) >> 2).astype(np.uint8)


def published_mask(values: np.ndarray, size: tuple[int, int], source: str) -> np.ndarray:
    """Bring a reference onto the grid of the paper family ``image``.

    Args:
        values: integer array ``(H, W)``, 0 to 255 as in the 8-bit file.
        size: rows and columns of the grid.
        source: name of the file or case for the message.

    Returns:
        uint8 mask of 0 and 1.

    Raises:
        ValueError: when the array is not 2D or its values do not fit in 8 bits.
    """
    if values.ndim != 2:
        raise ValueError(f"{source}: has shape {values.shape}, the paper family 'image' works on images (H, W)")
    if values.size and (values.min() < 0 or values.max() > 255):
        raise ValueError(
            f"{source}: holds values {int(values.min())} to {int(values.max())}; the publication reads 8-bit masks. "
            "Set reference_foreground=255 to take every value above 0 for foreground"
        )
    return (resize_bilinear_8bit(values.astype(np.uint8), size) > 0).astype(np.uint8)
