# SPDX-License-Identifier: Apache-2.0
"""Colours as label values: one whole number per colour, the same for every file.

A grey pixel has its grey value, 0 to 255, whatever file it stands in: black is 0 and white is 255, as in masks without
colours. Any other colour is the number 0xRRGGBB; only pure blues, 0x0000BB, which would be mistaken for greys, take the
free number 0xBBBBBB of that grey. All numbers fit exactly into float32, in which label maps are passed on.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

__all__ = ["colour_name", "colour_number", "colour_numbers", "label_key"]

_HEX = re.compile(r"#?([0-9a-f]{6})", re.IGNORECASE)


def colour_number(red: int, green: int, blue: int) -> int:
    """Label value of a colour.

    Args:
        red: 0 to 255.
        green: 0 to 255.
        blue: 0 to 255.
    """
    return int(colour_numbers(np.array([[[red, green, blue]]], np.uint8))[0, 0])


def colour_numbers(array: np.ndarray) -> np.ndarray:
    """Label values of the pixels of a colour image.

    Args:
        array: (H, W, 3), uint8.

    Returns:
        int32 array (H, W).
    """
    red, green, blue = (array[..., k].astype(np.int32) for k in range(3))
    numbers = (red << 16) | (green << 8) | blue
    numbers = np.where((red == 0) & (green == 0), blue * 0x010101, numbers)  # pure blues
    return np.where((red == green) & (green == blue), red, numbers).astype(np.int32)


def colour_name(number: float) -> str:
    """The colour of a label value, as ``#ff0000``.

    Args:
        number: what :func:`colour_number` gave.
    """
    value = int(number)
    if value < 256:
        value *= 0x010101
    elif value % 0x010101 == 0:
        value //= 0x010101
    return f"#{value:06x}"


def label_key(raw: Any) -> int:
    """Label value that a key of a ``label_values`` table stands for.

    Args:
        raw: a whole number, also as text, or a colour as ``"#ff0000"``.

    Raises:
        ValueError: anything else.
    """
    if isinstance(raw, str) and raw.strip().startswith("#"):
        match = _HEX.fullmatch(raw.strip())
        if match is None:
            raise ValueError(f"{raw!r} is no colour; expected six hexadecimal digits, as in #ff0000")
        value = int(match[1], 16)
        return colour_number(value >> 16, value >> 8 & 255, value & 255)
    return int(raw)
