# SPDX-License-Identifier: Apache-2.0
"""From decoded samples to an image or a label map: the same rules for every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sa2_monai.io.images.samples import ImageFileError, Samples, damaged
from sa2_monai.io.label_colours import colour_numbers

__all__ = ["luminance", "to_image", "to_label"]

# Channels of a grey JPEG that was saved as colour differ by a level or two; colours differ by more.
_LOSSY_GREY = 16
_LARGEST_LABEL = np.iinfo(np.int32).max // 2


def to_image(samples: Samples, path: Path, channels: int | None) -> np.ndarray:
    """Intensities of the samples: white is high, the largest value of the type is the largest that a sample can have.

    Args:
        samples: what the file holds.
        path: the file, for messages.
        channels: see :func:`sa2_monai.data.read_image`.

    Returns:
        (H, W, C): uint8, uint16 or float32.

    Raises:
        ValueError: transparent pixels, a type without a fixed range, NaN, or another number of channels.
    """
    array, bits, colour = samples.array, samples.bits, samples.colour
    _check_opaque(samples, path)
    if samples.palette is not None:
        if array.max(initial=0) >= len(samples.palette):
            raise damaged(path, f"value {array.max()} in a palette of {len(samples.palette)} colours")
        array, bits, colour = samples.palette[array[:, :, 0]], 8, True
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f":
        array = _finite(array, path)
        if samples.white_is_zero:
            if array.min(initial=0) < 0 or array.max(initial=0) > 1:
                raise ImageFileError(
                    f"{path}: is a float image in which 0 is white, with values from {array.min():g} to "
                    f"{array.max():g}, expected [0, 1]; save it with 0 as black"
                )
            array = 1 - array
    elif kind not in "ub" or size > 2:
        signed = "signed " if kind == "i" and size < 4 else ""
        what = "complex numbers" if kind == "c" else f"{signed}{8 * size}-bit integers"
        raise ImageFileError(
            f"{path}: holds {what}, which have no fixed intensity range; save it with 8 or 16 bits per channel "
            "(unsigned)"
        )
    else:
        array = _spread(array, bits, path)
        if samples.white_is_zero:
            array = np.iinfo(array.dtype).max - array
    if samples.spare == 1 and channels not in (None, array.shape[2]):
        array = _without_blank(array)
    return _with_channels(array, colour, channels, path)


def to_label(samples: Samples, path: Path, colours: bool = False) -> np.ndarray:
    """Class or instance numbers: the values as stored, one per pixel.

    Args:
        samples: what the file holds.
        path: the file, for messages.
        colours: a colour image gives the numbers of its colours, see :mod:`sa2_monai.io.label_colours`.

    Returns:
        (H, W): uint8, uint16 or int32.

    Raises:
        ValueError: transparent pixels, channels that differ, or fractional or huge values.
    """
    if samples.no_label:
        raise ImageFileError(f"{path}: {samples.no_label}")
    if not samples.keyed:
        _check_opaque(samples, path)
    array = samples.array
    if samples.spare:
        array = _without_blank(array)
    if array.shape[2] > 1:
        spread = array.max(axis=2) != array.min(axis=2)
        if samples.lossy and array.dtype == np.uint8 and int(np.ptp(array, axis=2).max(initial=0)) <= _LOSSY_GREY:
            array = luminance(array)
        elif spread.any() and colours and samples.colour and array.dtype == np.uint8 and not samples.lossy:
            return colour_numbers(array)
        elif spread.any():
            what = "a colour image with" if samples.colour else f"an image with {array.shape[2]}"
            raise ImageFileError(
                f"{path}: is {what} different channels, expected a label map with one value per pixel; "
                "write the class numbers into a single-channel PNG"
            )
    return _whole(np.ascontiguousarray(array[:, :, 0]), path)


def luminance(array: np.ndarray) -> np.ndarray:
    """Luminance after ITU-R BT.601: ``0.299 R + 0.587 G + 0.114 B``, for integers in 16-bit fixed point.

    Args:
        array: (H, W, 3), channels R, G, B; uint8, uint16 or float.

    Returns:
        (H, W, 1) of the same type; uint8 values equal Pillow's conversion to ``"L"``.
    """
    red, green, blue = (array[:, :, k : k + 1] for k in range(3))
    if array.dtype.kind == "f":
        return (0.299 * red + 0.587 * green + 0.114 * blue).astype(array.dtype)
    wide = np.uint32
    total = red.astype(wide) * wide(19595) + green.astype(wide) * wide(38470) + blue.astype(wide) * wide(7471)
    return ((total + wide(0x8000)) >> wide(16)).astype(array.dtype)


def _check_opaque(samples: Samples, path: Path) -> None:
    if samples.alpha is None:
        return
    alpha = samples.alpha
    bits = 8 if samples.palette is not None else samples.bits
    if (alpha != (1 if alpha.dtype.kind == "f" else 2**bits - 1)).any():
        raise ImageFileError(
            f"{path}: has an alpha channel with transparent pixels, expected an opaque image; "
            "paint it on its background and save it without alpha"
        )


def _without_blank(array: np.ndarray) -> np.ndarray:
    """Drop a last channel that is full everywhere: an alpha channel whose writer did not say so."""
    full = np.iinfo(array.dtype).max if array.dtype.kind in "ui" else 1
    return array[:, :, :-1] if array.shape[2] > 1 and (array[:, :, -1] == full).all() else array


def _spread(array: np.ndarray, bits: int, path: Path) -> np.ndarray:
    """Values of any number of bits over the whole range of uint8 or uint16."""
    itemsize = 1 if bits <= 8 else 2
    array = array.astype(np.uint8 if itemsize == 1 else np.uint16, copy=False)
    if bits == 8 * itemsize:
        return array
    highest, full = 2**bits - 1, 2 ** (8 * itemsize) - 1
    if array.max(initial=0) > highest:
        raise damaged(path, f"value {array.max()} in samples of {bits} bits")
    return ((array.astype(np.uint32) * full + highest // 2) // highest).astype(array.dtype)


def _finite(array: np.ndarray, path: Path) -> np.ndarray:
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32, copy=False)
    if not np.isfinite(narrow).all():
        raise ImageFileError(
            f"{path}: {int((~np.isfinite(narrow)).sum())} of {array.size} values are NaN or infinite; "
            "replace them and save the file again"
        )
    return narrow


def _with_channels(array: np.ndarray, colour: bool, channels: int | None, path: Path) -> np.ndarray:
    count = array.shape[2]
    if channels in (None, count):
        return array
    if channels == 3 and count == 1:
        return np.repeat(array, 3, axis=2)
    if channels == 1 and count == 3 and colour:
        return luminance(array)
    raise ImageFileError(
        f"{path}: has {count} channels, expected {channels}; grey (1) becomes colour (3) and colour becomes grey, "
        "other channels are taken as they are: give one file per part of the channels (CASE_0000.png, CASE_0001.png), "
        "or all in one TIFF or .npy array (H, W, C)"
    )


def _whole(array: np.ndarray, path: Path) -> np.ndarray:
    kind = array.dtype.kind
    if kind == "b":
        return array.astype(np.uint8)
    if kind == "u" and array.dtype.itemsize <= 2:
        return array
    if kind == "f":
        array = _finite(array, path) if array.dtype.itemsize < 8 else array
        if not np.isfinite(array).all() or not np.array_equal(np.rint(array), array):
            raise ImageFileError(
                f"{path}: holds fractional values between {array.min()} and {array.max()}, expected whole class "
                "numbers; write them into a single-channel PNG (and never resize label maps with interpolation)"
            )
    elif kind not in "iu":
        raise ImageFileError(f"{path}: holds {array.dtype} values, expected whole class numbers")
    low, high = array.min(initial=0), array.max(initial=0)
    if low < -_LARGEST_LABEL or high > _LARGEST_LABEL:
        raise ImageFileError(f"{path}: holds values from {low:g} to {high:g}, expected class or instance numbers")
    return array.astype(np.int32)
