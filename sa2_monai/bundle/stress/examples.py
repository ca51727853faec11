# SPDX-License-Identifier: Apache-2.0
"""One case under every condition, with prediction and reference, for the report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sa2_monai.evaluation import EvaluationResult
from sa2_monai.evaluation.report.html.encoding import photo_address
from sa2_monai.evaluation.report.overlays import case_scores
from sa2_monai.evaluation.report.overlays.canvas import display_size, resized, shown_image
from sa2_monai.evaluation.report.overlays.layers import difference_layer
from sa2_monai.evaluation.report.overlays.lines import line_width
from sa2_monai.evaluation.report.planes import case_plane
from sa2_monai.metrics.boxes import unsigned

__all__ = ["EXAMPLES", "Example", "choose_example", "example_address", "write_example"]

#: Folder of the images, in the output folder.
EXAMPLES = "examples"
_SMALL, _LARGE = 200, 280  # pixels of the longer side


class Example(NamedTuple):
    """The case that is shown: its name, and the slice of a volume."""

    case: str
    position: int | None


def choose_example(result: EvaluationResult) -> Example:
    """The median case of the images as they are, and its slice with most errors.

    Args:
        result: their evaluation.

    Raises:
        OSError, ValueError: its files cannot be read again.
    """
    scores = case_scores(result)
    order = sorted(scores, key=lambda case: (math.isnan(scores[case]), scores[case], case))
    known = [case for case in order if not math.isnan(scores[case])] or order
    case = known[len(known) // 2]
    return Example(case, case_plane(result, case).position)


def write_example(result: EvaluationResult, example: Example, output: Path, condition: str) -> None:
    """Draw the case as the model saw it and what it made of it.

    Args:
        result: evaluation of a condition, whose files are still there.
        example: which case.
        output: folder of the stress test.
        condition: folder of the condition's results.

    Raises:
        OSError, ValueError: files cannot be read or written.
    """
    plane = case_plane(result, example.case, index=example.position)
    size = display_size(plane.reference.shape[0], plane.reference.shape[1], _SMALL, _LARGE)
    guess = np.zeros_like(plane.reference) if plane.prediction is None else plane.prediction
    prediction, reference = (resized(unsigned(labels), size) for labels in (guess, plane.reference))
    layer = difference_layer(prediction, reference, line_width(size, plane.reference.shape))
    file = _file(output, condition)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(layer.over(shown_image(plane.image, size))).save(file)


def example_address(output: Path, condition: str) -> str:
    """The drawing as a data address; empty where there is none.

    Args:
        output: folder of the stress test.
        condition: folder of the condition's results.
    """
    file = _file(output, condition)
    return photo_address(np.asarray(Image.open(file))) if file.is_file() else ""


def _file(output: Path, condition: str) -> Path:
    return output / EXAMPLES / f"{condition.removeprefix('conditions/').replace('/', '-')}.png"
