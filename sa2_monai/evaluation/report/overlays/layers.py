# SPDX-License-Identifier: Apache-2.0
"""Transparent layers that lie over an image: one label map, or what two of them say.

Every class has its colour (:mod:`sa2_monai.io.palette`). A dark rim keeps lines visible on bright images.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sa2_monai.evaluation.report.overlays.lines import dashes, grown, outline, together
from sa2_monai.io.palette import class_colour
from sa2_monai.metrics.boxes import values_of

__all__ = ["BOTH_COLOUR", "Layer", "difference_layer", "foreground_values", "label_layer"]

BOTH_COLOUR = (255, 255, 255)
_RIM_COLOUR = (0, 0, 0)
_EVEN, _STRIPED = 0.4, 0.65  # opacity of the fill: stripes cover a part of the area
_WIDE, _NARROW = 8, 4  # pixels of the display: stripes of the prediction, of the reference


class Layer(NamedTuple):
    """Colours and their opacity.

    Attributes:
        colour: uint8 ``(H, W, 3)``.
        opacity: float ``(H, W)`` in [0, 1].
    """

    colour: np.ndarray
    opacity: np.ndarray

    def over(self, canvas: np.ndarray) -> np.ndarray:
        """The layer on an image, both uint8 ``(H, W, 3)``."""
        share = self.opacity[:, :, None]
        mixed: np.ndarray = ((1 - share) * canvas + share * self.colour).round().astype(np.uint8)
        return mixed

    def rgba(self) -> np.ndarray:
        """The layer as uint8 ``(H, W, 4)``."""
        opacity = (255 * self.opacity).round().astype(np.uint8)
        return np.dstack([np.where(opacity[:, :, None] > 0, self.colour, 0), opacity])


def label_layer(labels: np.ndarray, width: int) -> Layer:
    """Fill and outline of one label map.

    Args:
        labels: class values ``(H, W)``, unsigned.
        width: of the lines, 2 or 3 pixels.
    """
    layer = _filled(labels, np.ones_like(labels, dtype=bool))
    line = outline(labels)
    _rim(layer, line, width)
    _paint(layer, line, labels, width)
    return layer


def difference_layer(prediction: np.ndarray, reference: np.ndarray, width: int) -> Layer:
    """What two label maps say: an even fill where it is the same class, stripes where it is not.

    Wide stripes are the prediction's, narrow ones the reference's. The outline of the prediction is solid, that of the
    reference dashed, and where both run together *for one class* it is white.

    Args:
        prediction: class values ``(H, W)``, unsigned.
        reference: the same.
        width: of the lines, 2 or 3 pixels.
    """
    rows, columns = np.indices(reference.shape)
    turn = (rows + columns) % (_WIDE + _NARROW) < _WIDE
    layer = _filled(np.where(turn, prediction, reference), prediction == reference)
    line_r, line_p = outline(reference), outline(prediction)
    both = together(line_r, reference, line_p, prediction)
    line_r, line_p = line_r & ~both, line_p & ~both
    _rim(layer, line_r | line_p | both, width)
    _paint(layer, line_p, prediction, width)
    _paint(layer, line_r & dashes(reference), reference, width)
    layer.colour[grown(both, width)] = BOTH_COLOUR
    return layer


def foreground_values(*maps: np.ndarray) -> list[int]:
    """The classes that are to be seen, background left out."""
    return sorted(set().union(*(values_of(labels) for labels in maps)) - {0})


def _filled(labels: np.ndarray, even: np.ndarray) -> Layer:
    values = foreground_values(labels)
    colours = np.zeros((max(values, default=0) + 1, 3), dtype=np.uint8)
    colours[values] = [class_colour(value) for value in values] or np.zeros((0, 3))
    return Layer(colours[labels], np.where(labels != 0, np.where(even, _EVEN, _STRIPED), 0.0))


def _rim(layer: Layer, lines: np.ndarray, width: int) -> None:
    wide = grown(grown(lines, width))
    layer.colour[wide] = _RIM_COLOUR
    layer.opacity[wide] = 1


def _paint(layer: Layer, line: np.ndarray, labels: np.ndarray, width: int) -> None:
    """Draw a line, inside of its rim, in the colours of its classes."""
    for value in np.unique(labels[line]):
        layer.colour[grown(line & (labels == value), width)] = class_colour(int(value))
