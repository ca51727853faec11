# SPDX-License-Identifier: Apache-2.0
"""The images of a report: four layers of chosen cases, and a thumbnail of the others, within a budget of bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sa2_monai.evaluation.report.html.encoding import layer_address, photo_address
from sa2_monai.evaluation.report.overlays import Overlay, case_scores
from sa2_monai.evaluation.report.overlays.canvas import display_size, resized, shown_image
from sa2_monai.evaluation.report.overlays.layers import difference_layer, label_layer
from sa2_monai.evaluation.report.overlays.lines import line_width
from sa2_monai.evaluation.report.planes import Plane, case_plane
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.metrics.boxes import unsigned

__all__ = ["BUDGET", "Figure", "LayerImage", "ReportImages", "collect_images"]

#: Characters of all images of a page; tables and plots have the rest of 5 MB.
BUDGET = 3_400_000
_SMALL, _LARGE = 320, 560  # pixels of the longer side of a figure
_THUMBNAIL = 112  # pixels of its longer side
_THUMBNAILS = {2: 200, 3: 60}  # most of them, by dimensions: a volume takes longer to read again
_MISSED = 6  # structures, the largest first


class LayerImage(NamedTuple):
    """One layer: what it shows, and its data address."""

    name: str
    address: str


@dataclass(frozen=True)
class Figure:
    """One case to look at.

    Attributes:
        kind: why it is shown, e.g. ``"worst 1"`` or ``"missed: spleen"``.
        case: its name.
        dice: mean over its classes, ``NaN`` where it has none.
        place: the slice of a volume, else empty.
        height: pixels of the layers.
        width: the same.
        layers: the image, and what lies over it: reference, prediction, differences.
    """

    kind: str
    case: str
    dice: float
    place: str
    height: int
    width: int
    layers: tuple[LayerImage, ...]


@dataclass
class ReportImages:
    """What a page shows of the cases.

    Attributes:
        figures: of the missed structures, and of the worst, median and best cases.
        thumbnails: case -> data address.
        left: characters that may still be taken.
        omitted: figures that there was no room for.
    """

    figures: list[Figure] = field(default_factory=list)
    thumbnails: dict[str, str] = field(default_factory=dict)
    left: int = BUDGET
    omitted: int = 0

    def take(self, *addresses: str) -> bool:
        """Whether there is room for some more."""
        size = sum(map(len, addresses))
        if size > self.left:
            return False
        self.left -= size
        return True


def collect_images(result: EvaluationResult, drawn: Sequence[Overlay], budget: int = BUDGET) -> ReportImages:
    """Draw what a page shows of the cases.

    Args:
        result: an evaluation.
        drawn: the worst, median and best cases; without any a page has no images at all.
        budget: characters of all of them together.

    Returns:
        Missed structures come first, then the worst, median and best cases, then thumbnails of the worst: the first 200
        (60 of volumes), as far as the budget goes.

    Raises:
        OSError: when a mask of a chosen case is gone.
        ValueError: when it cannot be read any more.
    """
    found = ReportImages(left=budget)
    if not drawn:
        return found
    scores = case_scores(result)
    planes = {item.case: item.plane for item in drawn}
    chosen: dict[tuple[str, str], tuple[str, Plane]] = {}
    ranked = [(f"{item.kind} {item.rank}", item.case, item.plane) for item in drawn]
    for kind, case, plane in (*_missed(result), *ranked):
        before, _ = chosen.get((case, plane.place), ("", plane))  # one image of a plane, whatever it is shown for
        chosen[case, plane.place] = (f"{before}, {kind}" if before else kind, plane)
    for (case, _), (kind, plane) in chosen.items():
        figure = _figure(kind, case, scores[case], plane)
        if found.take(*(layer.address for layer in figure.layers)):
            found.figures.append(figure)
        else:
            found.omitted += 1
    dimensions = sum(not math.isnan(result.per_case[0].get(f"spacing_{axis}", math.nan)) for axis in range(3))
    order = sorted(scores, key=lambda case: (math.isnan(scores[case]), scores[case], case))
    for case in order[: _THUMBNAILS.get(dimensions, _THUMBNAILS[2])]:
        address = _thumbnail(planes.get(case) or case_plane(result, case))
        if not found.take(address):
            break
        found.thumbnails[case] = address
    return found


def _missed(result: EvaluationResult) -> Iterator[tuple[str, str, Plane]]:
    """The largest missed structures, one of a case."""
    rows: dict[str, Any] = {}
    for row in sorted(result.per_case, key=lambda row: (-row["voxels_ref"], row["case"])):
        if row["status"] == "missed":
            rows.setdefault(row["case"], row)
    for case, row in list(rows.items())[:_MISSED]:
        yield f"missed: {row['class_name']}", case, case_plane(result, case, row["class_value"])


def _maps(plane: Plane, small: int, large: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Image, prediction and reference at the size that they are shown in, and the width of lines."""
    height, width = plane.reference.shape
    size = display_size(height, width, small, large)
    guess = np.zeros_like(plane.reference) if plane.prediction is None else plane.prediction
    prediction, reference = (resized(unsigned(labels), size) for labels in (guess, plane.reference))
    return shown_image(plane.image, size), prediction, reference, line_width(size, plane.reference.shape)


def _figure(kind: str, case: str, dice: float, plane: Plane) -> Figure:
    image, prediction, reference, line = _maps(plane, _SMALL, _LARGE)
    over = {
        "reference": label_layer(reference, line),
        "prediction": label_layer(prediction, line),
        "differences": difference_layer(prediction, reference, line),
    }
    layers = [LayerImage(name, layer_address(layer.rgba())) for name, layer in over.items()]
    layers.insert(0, LayerImage("image", photo_address(image)))
    height, width = reference.shape
    return Figure(kind, case, dice, plane.place, height, width, tuple(layers))


def _thumbnail(plane: Plane) -> str:
    plane = plane._replace(image=None if plane.image is None else _thinned(plane.image))
    image, prediction, reference, width = _maps(plane, 2 * _THUMBNAIL, 3 * _THUMBNAIL)
    small = Image.fromarray(difference_layer(prediction, reference, width).over(image))
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return photo_address(np.asarray(small), quality=75)


def _thinned(image: np.ndarray) -> np.ndarray:
    """Every n-th pixel of an image that is far larger than a thumbnail: its brightness is looked for in all of them."""
    step = max(1, max(image.shape[:2]) // (4 * _THUMBNAIL))
    return image[::step, ::step]
