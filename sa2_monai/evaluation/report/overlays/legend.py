# SPDX-License-Identifier: Apache-2.0
"""The legend below an overlay: case and score, what lines and fills mean, and the classes that are to be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

__all__ = ["Entry", "legend"]

_GROUND, _TEXT, _TITLE = (24, 24, 24), (230, 230, 230), (255, 255, 255)
_SAMPLE = (170, 170, 170)
_LINE, _EDGE, _GAP = 21, 6, 14  # pixels: height of a line, to the border, between entries
_BOX = 22  # width of a sample


class Entry(NamedTuple):
    """One entry: what is drawn before its text.

    Attributes:
        sign: a colour for a swatch, or ``"solid"``, ``"dashed"``, ``"white"`` (lines) or ``"stripes"``.
        text: what it means.
    """

    sign: tuple[int, int, int] | str
    text: str


def legend(width: int, case: str, end: str, entries: Sequence[Entry]) -> Image.Image:
    """Draw a legend.

    Args:
        width: of the image, in pixels.
        case: first line on the left, shortened where it is too long.
        end: first line on the right.
        entries: signs in lines of their own, then swatches; as many lines as they need.
    """
    font = _font()
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))

    def long(text: str) -> int:
        return int(measure.textlength(text, font=font))

    def cut(text: str, room: int) -> str:
        if long(text) <= room:
            return text
        while len(text) > 1 and long(f"{text}...") > room:
            text = text[:-1]
        return f"{text}..."

    lines: list[list[tuple[int, Entry]]] = []
    x, was_sign = width, True
    for sign, text in entries:
        shown = cut(_one_line(text), width - 2 * _EDGE - _BOX - 6)
        room = _BOX + 6 + long(shown)
        if x + room > width - _EDGE or isinstance(sign, str) != was_sign:
            lines.append([])
            x, was_sign = _EDGE, isinstance(sign, str)
        lines[-1].append((x, Entry(sign, shown)))
        x += room + _GAP
    strip = Image.new("RGB", (width, _LINE * (1 + len(lines)) + _EDGE), _GROUND)
    draw = ImageDraw.Draw(strip)
    right = long(end)
    draw.text((_EDGE, 3), cut(_one_line(case), width - right - 2 * _EDGE - _GAP), fill=_TITLE, font=font)
    draw.text((width - _EDGE - right, 3), end, fill=_TITLE, font=font)
    for row, line in enumerate(lines, start=1):
        for left, entry in line:
            _sign(draw, left, row * _LINE + 3, entry.sign)
            draw.text((left + _BOX + 6, row * _LINE + 2), entry.text, fill=_TEXT, font=font)
    return strip


def _one_line(text: str) -> str:
    """Names of files may hold anything; what is no printable character would break the line."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _sign(draw: ImageDraw.ImageDraw, x: int, y: int, sign: tuple[int, int, int] | str) -> None:
    middle = y + 7
    if isinstance(sign, tuple):
        draw.rectangle((x, y + 1, x + _BOX, y + 13), fill=sign, outline=_SAMPLE)
    elif sign == "stripes":
        draw.rectangle((x, y + 1, x + _BOX, y + 13), fill=(70, 70, 70))
        for start in range(x, x + _BOX - 9, 6):
            draw.polygon([(start, y + 13), (start + 4, y + 13), (start + 8, y + 1), (start + 4, y + 1)], fill=_SAMPLE)
    elif sign == "dashed":
        for start in (x, x + 8, x + 16):
            draw.rectangle((start, middle - 1, start + 4, middle), fill=_SAMPLE)
    else:
        draw.rectangle((x, middle - 1, x + _BOX, middle), fill=_TITLE if sign == "white" else _SAMPLE)


def _font() -> Any:
    try:
        return ImageFont.load_default(size=14)
    except (TypeError, OSError):  # Pillow without FreeType
        return ImageFont.load_default()
