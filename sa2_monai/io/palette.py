# SPDX-License-Identifier: Apache-2.0
"""One colour per class number, the same in written masks, overlays and reports.

Class 0 is black. The next fourteen are told apart by people with and without any of the three colour deficiencies: the
first seven are the colours of Okabe and Ito (2008) in another order, so that few classes lie far apart, the others were
added where they are farthest from all before (CIEDE2000 under the simulation of Machado et al. 2009; no pair below 10).
No table does that for more; the rest walks round the hues in three brightnesses.
"""

from __future__ import annotations

import colorsys

__all__ = ["class_colour", "mask_palette"]

Colour = tuple[int, int, int]

_FIRST: tuple[Colour, ...] = (
    (0, 0, 0),
    (86, 180, 233),  # sky blue
    (240, 228, 66),  # yellow
    (213, 94, 0),  # vermilion
    (0, 114, 178),  # blue
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # pink
    (230, 159, 0),  # orange
    (180, 210, 165),  # pale green
    (135, 75, 60),  # brown
    (120, 120, 255),  # periwinkle
    (195, 15, 0),  # red
    (180, 15, 135),  # magenta
    (0, 240, 255),  # cyan
    (105, 0, 255),  # violet
)
_GOLDEN = 0.6180339887498949  # of the circle: neighbours in number are far apart in hue
_SHADES = ((0.55, 1.0), (0.9, 0.8), (0.75, 0.55))  # saturation and brightness in turn


def class_colour(value: int) -> Colour:
    """The colour of a class: red, green and blue from 0 to 255, the same for a number wherever it is shown.

    Args:
        value: number of the class, from 0 (background, black).

    Raises:
        ValueError: for a negative number.
    """
    if value < 0:
        raise ValueError(f"class number is {value}, expected 0 or more")
    if value < len(_FIRST):
        return _FIRST[value]
    saturation, brightness = _SHADES[value % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(value * _GOLDEN % 1, saturation, brightness)
    return round(255 * red), round(255 * green), round(255 * blue)


def mask_palette() -> bytes:
    """The colours of the values 0 to 255, three bytes each, as an image file with a palette holds them."""
    return bytes(channel for value in range(256) for channel in class_colour(value))
