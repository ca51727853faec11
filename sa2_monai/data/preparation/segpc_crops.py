# SPDX-License-Identifier: Apache-2.0
"""Crops around single cells of SegPC-2021, as SA2-Net was trained on them (preparation of Awesome-U-Net).

The published program displaces cells at the border of the image, adds two 8-bit masks whose sum can wrap to 0, and
takes the nearest pixel from the upper left. Here a cell stays where it is, the union is formed first, and pixels have
their centre in the middle; with ``published`` all three are as published.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["FRAME", "SIZE", "Crop", "bilinear", "crop_cell", "nearest"]

#: Height and width that images are brought to before cells are cut out.
FRAME = (1080, 1440)
#: Sides of a crop.
SIZE = 224

_MARGIN = 2.5  # sum of both margins of a crop, in sides of the nucleus
_CYTOPLASM, _NUCLEUS = 20, 40  # smallest values in the masks


class Crop(NamedTuple):
    """One cell.

    Attributes:
        rgb: (224, 224, 3), uint8.
        nucleus: (224, 224), uint8: 0 to 255, grey at the border where the crop was resized.
        label: (224, 224), uint8: 1 in cytoplasm and nucleus.
    """

    rgb: np.ndarray
    nucleus: np.ndarray
    label: np.ndarray


def crop_cell(image: np.ndarray, mask: np.ndarray, published: bool = False) -> Crop | None:
    """Cut out one cell, after image and mask are brought to the size :data:`FRAME`.

    Args:
        image: (H, W, 3), uint8.
        mask: (H, W): 0, from 20 cytoplasm, from 40 nucleus, of this cell.
        published: reproduce what the published program does at the border of the image, in the sum of the masks and
            with nearest pixels.

    Returns:
        The crop; ``None`` where the mask has no nucleus.
    """
    mask = nearest(mask, FRAME, published)
    nucleus = mask >= _NUCLEUS
    found = [np.flatnonzero(nucleus.any(axis=axis)) for axis in (1, 0)]
    if not found[0].size:
        return None
    sides, offsets, window = [], [], []
    for places, length in zip(found, FRAME, strict=True):
        first, behind = int(places[0]), int(places[-1]) + 1
        margin = round(_MARGIN * (behind - first) / 2)
        start, stop = max(first - margin, 0), min(behind + margin, length)
        sides.append(behind - first + 2 * margin)
        offsets.append(round((sides[-1] - (stop - start)) / 2) if published else start - (first - margin))
        window.append(slice(start, stop))

    def cut(part: np.ndarray) -> np.ndarray:
        return _fit(_placed(part, sides, offsets))

    inside, centre = mask[window[0], window[1]], nucleus[window[0], window[1]]
    rgb = cut(bilinear(image, FRAME, (window[0], window[1])))
    if published:
        label = cut(_full((inside >= _CYTOPLASM) & ~centre)) + cut(_full(centre))  # 8 bits: 128 + 128 is 0
    else:
        label = cut(_full(inside >= _CYTOPLASM))
    return Crop(rgb, cut(_full(centre)), (label > 0).astype(np.uint8))


def bilinear(array: np.ndarray, shape: tuple[int, int], window: tuple[slice, slice] | None = None) -> np.ndarray:
    """Resize with bilinear interpolation between pixel centres, without smoothing.

    OpenCV's ``INTER_LINEAR`` differs by rounding: it weighs in 11 bits, at most one grey level off. SciPy's zoom and
    Pillow cannot make a part of the result, and cells are a small part of an image.

    Args:
        array: (H, W) or (H, W, C), uint8.
        shape: new height and width.
        window: rows and columns of the result that are wanted; ``None`` is all of it.

    Returns:
        (Part of) the resized array, uint8.
    """
    result = array
    for axis in (0, 1):
        old, new = array.shape[axis], shape[axis]
        wanted = np.arange(new)[window[axis] if window is not None else slice(None)]
        places = np.clip((wanted + 0.5) * (old / new) - 0.5, 0, old - 1)
        below = places.astype(np.int64)
        weights = (places - below).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(array.ndim)])
        first = np.take(result, below, axis).astype(np.float32)
        first += (np.take(result, np.minimum(below + 1, old - 1), axis) - first) * weights
        result = first
    return np.rint(result).astype(np.uint8)


def nearest(array: np.ndarray, shape: tuple[int, int], published: bool = False) -> np.ndarray:
    """Resize with the nearest pixel.

    Args:
        array: (H, W).
        shape: new height and width.
        published: take the pixel below the upper left corner, as OpenCV's ``INTER_NEAREST``, instead of the centre.
    """
    # In halves of a pixel, so that all numbers are whole.
    rows, columns = (
        (2 * np.arange(new) + (0 if published else 1)) * old // (2 * new)
        for new, old in zip(shape, array.shape, strict=True)
    )
    return array[rows[:, None], columns]


def _full(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 255, 0).astype(np.uint8)


def _placed(array: np.ndarray, sides: list[int], offsets: list[int]) -> np.ndarray:
    canvas = np.zeros((*sides, *array.shape[2:]), array.dtype)
    canvas[offsets[0] : offsets[0] + array.shape[0], offsets[1] : offsets[1] + array.shape[1]] = array
    return canvas


def _fit(array: np.ndarray) -> np.ndarray:
    """Bring a crop to its final size: small ones are padded, others resized without keeping the aspect."""
    if max(array.shape[:2]) < SIZE:
        return _placed(array, [SIZE, SIZE], [round((SIZE - n) / 2) for n in array.shape[:2]])
    return bilinear(array, (SIZE, SIZE))
