# SPDX-License-Identifier: Apache-2.0
"""What every format decodes to, and the checks that all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.images.formats import HINT
from sa2_monai.io.limits.voxels import check_voxels

_TOO_LARGE = "'sa2-monai predict' reads such images tile by tile when they are saved as TIFF with tiles"

__all__ = ["ImageFileError", "Samples", "check_decoded", "check_size", "damaged", "orient"]


class ImageFileError(ValueError):
    """A file that is not taken; the message names it, what was found, what was expected and what to do."""


@dataclass(frozen=True)
class Samples:
    """What a file holds, before anything is made of it.

    Attributes:
        array: (H, W, C), upright, the values as stored; without alpha.
        bits: significant bits of an integer sample.
        colour: the three channels are R, G and B.
        spare: number of channels at the end whose meaning the file does not tell.
        white_is_zero: grey values count from white to black.
        palette: colours (N, 3) of the values, uint8; ``array`` then has one channel, the indices.
        alpha: opacity (H, W), in the type and bits of ``array`` (uint8 beside a palette), or ``None``.
        keyed: ``alpha`` hangs on the value alone (an entry of the palette, a colour key), so labels are not touched.
        lossy: the compression invents values.
        no_label: why the values cannot be labels; empty where they can.
    """

    array: np.ndarray
    bits: int = 8
    colour: bool = False
    spare: int = 0
    white_is_zero: bool = False
    palette: np.ndarray | None = None
    alpha: np.ndarray | None = None
    keyed: bool = False
    lossy: bool = False
    no_label: str = ""


def orient(array: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an orientation tag (EXIF, TIFF; 1 to 8) to an array (H, W[, C])."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    # What remains after the transposition: rows reversed, columns reversed.
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def check_size(path: Path, height: int, width: int, channels: int = 1, itemsize: int = 1) -> None:
    """Refuse what is empty or too large for the memory, before it is decoded: Pillow's limit, for every format.

    Raises:
        ValueError: no pixels, more than Pillow opens, or more than :mod:`sa2_monai.io.limits.voxels` allows.
    """
    if height < 1 or width < 1:
        raise damaged(path, f"{width} x {height} pixels")
    limit = 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else None
    if limit is not None and height * width > limit:
        raise ImageFileError(
            f"{path}: image of {width} x {height} pixels exceeds the limit of {limit} pixels; {_TOO_LARGE}"
        )
    try:
        check_voxels(path, (height, width, channels), itemsize)
    except ValueError as error:
        raise ImageFileError(f"{error}; {_TOO_LARGE}") from error


def check_decoded(path: Path, array: np.ndarray, shape: tuple[int, ...], itemsize: int) -> None:
    """Compare what was decoded with what the header promised.

    Args:
        path: the file.
        array: the decoded samples.
        shape: their shape after the header.
        itemsize: bytes of a sample after the header.

    Raises:
        ValueError: they differ; such an array is no image of this file.
    """
    if array.shape != shape or array.dtype.itemsize != itemsize:
        raise damaged(
            path,
            f"decodes to {array.dtype} of shape {array.shape}, its header promises {8 * itemsize} bits and {shape}",
        )


def damaged(path: Path, reason: Exception | str) -> ImageFileError:
    """The error for a file that should be an image and cannot be decoded.

    Raises:
        MemoryError: it could not be decoded for lack of memory; nothing speaks against the file then.
    """
    if isinstance(reason, Exception):
        raise_if_memory(reason, path)
    if isinstance(reason, Image.DecompressionBombError):
        return ImageFileError(f"{path}: {reason}; {_TOO_LARGE}")
    text = str(reason).strip()
    last = text.splitlines()[-1] if text else type(reason).__name__
    return ImageFileError(f"{path}: damaged or truncated image ({last}); copy the file again, or {HINT}")
