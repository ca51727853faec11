# SPDX-License-Identifier: Apache-2.0
"""Values of label maps: whole numbers, however a file stores them."""

from __future__ import annotations

import numpy as np

__all__ = ["whole_numbers"]

_TOLERANCE = 1e-3  # a slope of 1.00002, or 1.0000001 as some tools save a class, is rounding
_BLOCK = 16  # slices, or rows of an image
_LARGEST = np.iinfo(np.int32).max // 2


def whole_numbers(source: str, array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Label map as integers.

    Args:
        source: file or array, for messages.
        array: numbers of any type and shape, finite.

    Returns:
        The array itself where it has integers of 8 or 16 bits, else the smallest of uint8, int16 and int32 that holds
        its values; and a remark where they were not quite whole.

    Raises:
        ValueError: fractional values (more than 1e-3 from whole numbers), values above a thousand million, or no
            numbers.
    """
    if array.dtype.kind == "b":
        return array.astype(np.uint8), ()
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{source}: holds data of type {array.dtype}, expected whole class numbers")
    if array.dtype.kind != "f" and array.dtype.itemsize <= 2:
        return array, ()
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if not (low >= -_LARGEST and high <= _LARGEST):
        worst = high if high > _LARGEST else low
        raise ValueError(f"{source}: holds the value {worst:g}, expected a label map of class numbers")
    types = (np.uint8, np.int16, np.int32)
    dtype = next(t for t in types if np.iinfo(t).min <= round(low) and round(high) <= np.iinfo(t).max)
    if array.dtype.kind != "f":
        return array.astype(dtype), ()
    whole, apart = _rounded(array, np.dtype(dtype))
    if not apart <= _TOLERANCE:
        raise ValueError(
            f"{source}: holds fractional values between {low:g} and {high:g}, expected a label map of whole class "
            "numbers; save it as integers (and never resample label maps with interpolation)"
        )
    return whole, (f"the class numbers are up to {apart:.2g} from whole ones and were rounded",) if apart else ()


def _rounded(array: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, float]:
    """Nearest whole numbers, and the largest distance from them; a few slices at a time, doubles are large."""
    whole, apart = np.empty_like(array, dtype=dtype), 0.0
    slowest = int(np.argmax(np.abs(array.strides)))
    values, out = (np.moveaxis(part, slowest, 0) for part in (array, whole))
    for start in range(0, len(values), _BLOCK):
        part = values[start : start + _BLOCK]
        rounded = np.rint(part)
        apart = max(apart, float(np.abs(part - rounded).max(initial=0)))
        out[start : start + _BLOCK] = rounded
    return whole, apart
