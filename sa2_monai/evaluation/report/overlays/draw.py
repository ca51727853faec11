# SPDX-License-Identifier: Apache-2.0
"""Overlays of prediction and reference, or of a prediction alone, on an image.

Every class has its colour (:mod:`sa2_monai.io.palette`). Inside, the image shines through: an even fill is where both
say the same class, stripes where they differ, wide ones of the prediction and narrow ones of the reference. The outline
of the prediction is solid, that of the reference dashed, and where both run together *for one class* it is white. A
dark rim keeps lines visible on bright images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from sa2_monai.evaluation.report.overlays.canvas import display_size, resized, shown_image
from sa2_monai.evaluation.report.overlays.legend import Entry, legend
from sa2_monai.io.palette import class_colour
from sa2_monai.metrics.boxes import unsigned, values_of

__all__ = ["BOTH_COLOUR", "draw_overlay", "draw_prediction"]

BOTH_COLOUR = (255, 255, 255)
_RIM_COLOUR = (0, 0, 0)
_EVEN, _STRIPED = 0.4, 0.65  # opacity of the fill: stripes cover a part of the area
_WIDE, _NARROW = 8, 4  # pixels of the display: stripes of the prediction, of the reference
_DASH, _GAP = 6, 8  # lengths; through the gaps the line of the prediction is seen where it lies below

Names = Mapping[int, str] | Sequence[str] | None


def draw_overlay(
    image: np.ndarray | None,
    prediction: np.ndarray | None,
    reference: np.ndarray,
    case: str,
    dice: float,
    classes: Names = None,
) -> Image.Image:
    """Draw prediction and reference into an image, with a legend below.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, any integer or float type; of another size than the masks it is resized;
            ``None`` draws on dark grey.
        prediction: class values ``(H, W)``, or ``None`` for a missing prediction.
        reference: class values ``(H, W)``.
        case: name for the legend.
        dice: number for the legend; ``NaN`` is written as undefined.
        classes: names for the legend, as a list with the background first or a mapping from value to name; a class
            without one is called by its number.

    Returns:
        RGB image; small masks are enlarged by a whole factor, large ones reduced to 1024 pixels.

    Raises:
        ValueError: when the masks are not two-dimensional or have different shapes.
    """
    guess = np.zeros_like(reference) if prediction is None else prediction
    if reference.ndim != 2 or guess.shape != reference.shape:
        raise ValueError(
            f"case {case}: masks have shapes {guess.shape} and {reference.shape}, expected one shape (H, W)"
        )
    size = display_size(*reference.shape)
    r, p = resized(unsigned(reference), size), resized(unsigned(guess), size)
    canvas = shown_image(image, size)
    rows, columns = np.indices(size)
    turn = (rows + columns) % (_WIDE + _NARROW) < _WIDE
    _fill(canvas, np.where(turn, p, r), p == r)
    line_r, line_p = _outline(r), _outline(p)
    both = _together(line_r, r, line_p, p)
    line_r, line_p = line_r & ~both, line_p & ~both
    width = _line_width(size, reference.shape)
    _rim(canvas, line_r | line_p | both, width)
    _paint(canvas, line_p, p, width)
    _paint(canvas, line_r & _dashes(r), r, width)
    canvas[_grown(both, width)] = BOTH_COLOUR
    end = "Dice undefined" if math.isnan(dice) else f"Dice {dice:.3f}"
    marks = [
        Entry("solid", "prediction"),
        Entry("dashed", "reference"),
        Entry("white", "both, same class"),
        Entry("stripes", "differ (wide: prediction)"),
    ]
    return _page(canvas, case, end, marks + _swatches((p, r), classes))


def draw_prediction(image: np.ndarray, prediction: np.ndarray, case: str, classes: Names = None) -> Image.Image:
    """Draw a prediction that has no reference, like :func:`draw_overlay`.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        prediction: class values ``(H, W)``.
        case: name for the legend.
        classes: names for the legend, see :func:`draw_overlay`.

    Returns:
        RGB image.

    Raises:
        ValueError: when the prediction is not two-dimensional.
    """
    if prediction.ndim != 2:
        raise ValueError(f"case {case}: the mask has shape {prediction.shape}, expected (H, W)")
    size = display_size(*prediction.shape)
    p = resized(unsigned(prediction), size)
    canvas = shown_image(image, size)
    _fill(canvas, p, np.ones_like(p, dtype=bool))
    line = _outline(p)
    width = _line_width(size, prediction.shape)
    _rim(canvas, line, width)
    _paint(canvas, line, p, width)
    swatches = _swatches((p,), classes)
    return _page(canvas, case, "" if swatches else "nothing found", swatches)


def _values(*maps: np.ndarray) -> list[int]:
    """The classes that are to be seen, background left out."""
    return sorted(set().union(*(values_of(labels) for labels in maps)) - {0})


def _fill(canvas: np.ndarray, labels: np.ndarray, even: np.ndarray) -> None:
    values = _values(labels)
    colours = np.zeros((max(values, default=0) + 1, 3))
    colours[values] = [class_colour(value) for value in values] or np.zeros((0, 3))
    inside = labels != 0
    share = np.where(even[inside], _EVEN, _STRIPED)[:, None]
    mixed = (1 - share) * canvas[inside] + share * colours[labels[inside]]
    canvas[inside] = mixed.round().astype(np.uint8)


def _grown(mask: np.ndarray, width: int = 3) -> np.ndarray:
    """Every pixel of a mask as a square: 3 pixels around it, 2 with those above and on the left."""
    grown = mask.copy()
    for axis in (0, 1):
        before, behind = (np.moveaxis(grown, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        moved = behind.copy()
        if width == 3:
            behind |= before.copy()
        before |= moved
    return grown


def _outline(labels: np.ndarray) -> np.ndarray:
    """Foreground pixels that touch another class, background included; the border of the image is no outline."""
    padded = np.pad(labels, 1, mode="edge")
    core = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return (core != 0) & np.logical_or.reduce([n != core for n in neighbours])


def _together(line_r: np.ndarray, r: np.ndarray, line_p: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Where the outlines of one class run together, a pixel apart at most, with the class on the same side of both."""
    found = np.zeros(r.shape, dtype=bool)
    for value in np.intersect1d(r[line_r], p[line_p]):
        in_r, in_p = r == value, p == value
        mine, other = line_r & in_r, line_p & in_p
        found |= mine & (_grown(other & in_r) | (in_p & _grown(other)))
        found |= other & (_grown(mine & in_p) | (in_r & _grown(mine)))
    return found


def _dashes(labels: np.ndarray) -> np.ndarray:
    """Dashes along outlines: counted along the axis that an outline follows more than the other one."""
    padded = np.pad(labels, 1, mode="edge")
    across = (padded[:-2, 1:-1] != labels) | (padded[2:, 1:-1] != labels)
    # an outline is a staircase at this size; a step in the neighbourhood must not cut a dash in two
    across = _grown(across)
    rows, columns = np.indices(labels.shape)
    return np.asarray(np.where(across, columns, rows) % (_DASH + _GAP) < _DASH)


def _line_width(size: tuple[int, int], shape: tuple[int, ...]) -> int:
    """Lines are three pixels wide where the masks were enlarged, else two: there objects may be small."""
    return 3 if size[0] > shape[0] else 2


def _rim(canvas: np.ndarray, lines: np.ndarray, width: int) -> None:
    canvas[_grown(_grown(lines, width))] = _RIM_COLOUR


def _paint(canvas: np.ndarray, line: np.ndarray, labels: np.ndarray, width: int) -> None:
    """Draw a line in the colours of its classes."""
    for value in np.unique(labels[line]):
        canvas[_grown(line & (labels == value), width)] = class_colour(int(value))


def _swatches(maps: Sequence[np.ndarray], classes: Names) -> list[Entry]:
    names = dict(classes.items()) if isinstance(classes, Mapping) else dict(enumerate(classes or ()))
    return [Entry(class_colour(value), str(names.get(value, f"class {value}"))) for value in _values(*maps)]


def _page(canvas: np.ndarray, case: str, end: str, entries: Sequence[Entry]) -> Image.Image:
    """The drawing with the legend below, wide enough for that."""
    height, width = canvas.shape[:2]
    strip = legend(max(width, 480), case, end, entries)
    page = Image.new("RGB", (strip.width, height + strip.height), strip.getpixel((0, 0)))
    page.paste(Image.fromarray(canvas), ((strip.width - width) // 2, 0))
    page.paste(strip, (0, height))
    return page
