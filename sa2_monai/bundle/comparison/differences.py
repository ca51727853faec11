# SPDX-License-Identifier: Apache-2.0
"""The cases in which networks differ most, as images: the image, the reference, and what each network says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sa2_monai.evaluation import EvaluationResult
from sa2_monai.evaluation.report.html.encoding import photo_address
from sa2_monai.evaluation.report.html.images import BUDGET
from sa2_monai.evaluation.report.overlays import case_scores
from sa2_monai.evaluation.report.overlays.canvas import display_size, resized, shown_image
from sa2_monai.evaluation.report.overlays.layers import difference_layer, label_layer
from sa2_monai.evaluation.report.overlays.lines import line_width
from sa2_monai.evaluation.report.planes import case_plane
from sa2_monai.metrics.boxes import unsigned

__all__ = ["Panel", "Row", "draw_differences", "most_different"]

_CASES = 6
_SMALL, _LARGE = 256, 384  # pixels of the longer side


@dataclass(frozen=True)
class Panel:
    """One image of a row: what it shows, the Dice of the case (``None`` of image and reference), its data address."""

    name: str
    dice: float | None
    address: str


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        case: its name.
        spread: largest less smallest Dice.
        place: the slice of a volume, else empty.
        panels: the image, the reference, then the networks.
    """

    case: str
    spread: float
    place: str
    panels: tuple[Panel, ...]


def most_different(results: Mapping[str, EvaluationResult], count: int = _CASES) -> list[tuple[str, float]]:
    """Cases with the largest spread of the Dice between networks, and the spread.

    Args:
        results: by name of the network.
        count: of cases, at most.
    """
    scores = [case_scores(result) for result in results.values()]
    common = set.intersection(*(set(found) for found in scores)) if scores else set()
    spreads = []
    for case in sorted(common):
        values = [found[case] for found in scores if not math.isnan(found[case])]
        if len(values) > 1 and max(values) > min(values):
            spreads.append((case, max(values) - min(values)))
    return sorted(spreads, key=lambda found: (-found[1], found[0]))[:count]


def draw_differences(results: Mapping[str, EvaluationResult], budget: int = BUDGET) -> list[Row]:
    """Draw the cases in which networks differ most; of a volume the slice with most errors of the worst network.

    Args:
        results: by name of the network.
        budget: characters of all images together; what does not fit is left out.

    Raises:
        OSError: a mask of a chosen case is gone.
        ValueError: it cannot be read any more.
    """
    rows = []
    for case, spread in most_different(results):
        row = _row(results, case, spread)
        budget -= sum(len(panel.address) for panel in row.panels)
        if budget < 0:
            break
        rows.append(row)
    return rows


def _row(results: Mapping[str, EvaluationResult], case: str, spread: float) -> Row:
    scores = {name: case_scores(result)[case] for name, result in results.items()}
    worst = min(scores, key=lambda name: (math.isnan(scores[name]), scores[name]))
    first = case_plane(results[worst], case)
    height, width = first.reference.shape
    size = display_size(height, width, _SMALL, _LARGE)
    line = line_width(size, first.reference.shape)
    image, reference = shown_image(first.image, size), resized(unsigned(first.reference), size)
    panels = [
        Panel("image", None, photo_address(image)),
        Panel("reference", None, photo_address(label_layer(reference, line).over(image))),
    ]
    for name, result in results.items():
        guess = first if name == worst else case_plane(result, case, index=first.position)
        prediction = np.zeros_like(first.reference) if guess.prediction is None else guess.prediction
        layer = difference_layer(resized(unsigned(prediction), size), reference, line)
        panels.append(Panel(name, scores[name], photo_address(layer.over(image))))
    return Row(case, spread, first.place, tuple(panels))
