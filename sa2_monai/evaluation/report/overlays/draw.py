# SPDX-License-Identifier: Apache-2.0
"""Overlays of prediction and reference, or of a prediction alone, on an image, with a legend below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from sa2_monai.evaluation.report.overlays.canvas import display_size, resized, shown_image
from sa2_monai.evaluation.report.overlays.layers import BOTH_COLOUR, difference_layer, foreground_values, label_layer
from sa2_monai.evaluation.report.overlays.legend import Entry, legend
from sa2_monai.evaluation.report.overlays.lines import line_width
from sa2_monai.io.palette import class_colour
from sa2_monai.metrics.boxes import unsigned

__all__ = ["BOTH_COLOUR", "draw_overlay", "draw_prediction"]

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
    canvas = difference_layer(p, r, line_width(size, reference.shape)).over(canvas)
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
    canvas = label_layer(p, line_width(size, prediction.shape)).over(canvas)
    swatches = _swatches((p,), classes)
    return _page(canvas, case, "" if swatches else "nothing found", swatches)


def _swatches(maps: Sequence[np.ndarray], classes: Names) -> list[Entry]:
    names = dict(classes.items()) if isinstance(classes, Mapping) else dict(enumerate(classes or ()))
    return [Entry(class_colour(value), str(names.get(value, f"class {value}"))) for value in foreground_values(*maps)]


def _page(canvas: np.ndarray, case: str, end: str, entries: Sequence[Entry]) -> Image.Image:
    """The drawing with the legend below, wide enough for that."""
    height, width = canvas.shape[:2]
    strip = legend(max(width, 480), case, end, entries)
    page = Image.new("RGB", (strip.width, height + strip.height), strip.getpixel((0, 0)))
    page.paste(Image.fromarray(canvas), ((strip.width - width) // 2, 0))
    page.paste(strip, (0, height))
    return page
