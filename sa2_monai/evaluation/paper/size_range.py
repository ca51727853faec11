# SPDX-License-Identifier: Apache-2.0
"""Family ``size_range``: the evaluation of SvANet, pooled per class, weighted by images, and by size of the object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sa2_monai.evaluation.loading import LoadedCase
from sa2_monai.evaluation.paper.base import FamilyReport, PaperOptions, check_grid, grid_deviation, paper_row, predicted
from sa2_monai.metrics import foreground, instances, overlap

__all__ = ["class_weighted", "size_range"]

PUBLISHED_GRID = 512
_METRICS = {
    "iou": overlap.jaccard,
    "dice": overlap.dice,
    "precision": overlap.precision,
    "recall": overlap.sensitivity,
    "f2": overlap.f_beta,
}


def class_weighted(matrices: np.ndarray) -> dict[str, Any]:
    """Compute the pooled values per class and their two averages.

    Args:
        matrices: confusion matrices of the images, ``(images, C, C)``, rows reference, columns prediction.

    Returns:
        Per class lists ``iou, dice, precision, recall, f2`` and ``image_count`` (images whose reference contains the
        class), and ``micro`` (weighted by ``image_count``, background included) and ``macro`` (plain mean). A class
        that is nowhere has 0, as in the publication, whose denominators carry a small epsilon.
    """
    total = matrices.sum(axis=0)
    image_count = (matrices.sum(axis=2) > 0).sum(axis=0)
    counts = [overlap.counts_of_class(total, index) for index in range(len(total))]
    result: dict[str, Any] = {"image_count": [int(n) for n in image_count]}
    for name, metric in _METRICS.items():
        result[name] = [float(np.nan_to_num(metric(c))) for c in counts]
    weights = image_count / max(int(image_count.sum()), 1)
    result["micro"] = {name: float(np.dot(result[name], weights)) for name in _METRICS}
    result["macro"] = {name: float(np.mean(result[name])) for name in _METRICS}
    return result


def _subsets(matrices: np.ndarray, sizes: np.ndarray, limits: Sequence[float], cases: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for limit in limits:
        chosen = np.flatnonzero(sizes < limit)
        if len(chosen):
            block = class_weighted(matrices[chosen])
            result[f"{limit:g}"] = {"images": len(chosen), "cases": [cases[i] for i in chosen], **block}
        else:
            result[f"{limit:g}"] = {"images": 0, "cases": []}
    return result


def size_range(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute the pooled, image-weighted values of the whole set and of the cumulative size subsets.

    Raises:
        ValueError: when the class values are not 0..C-1, or an image lies on another grid.
    """
    values = list(classes)
    if values != list(range(len(values))):
        raise ValueError(f"family 'size_range' needs class values 0..{len(values) - 1}, got {values}")
    grid = options.grid_size(PUBLISHED_GRID)
    rows, matrices, contours, pixels, e_values, errors, cases = [], [], [], [], [], [], []
    masks: list[tuple[np.ndarray, np.ndarray]] = []
    for item in items:
        check_grid(item, grid, "size_range")
        ignored = item.geometry.array == options.ignore_value
        reference, prediction = np.where(ignored, 0, item.reference), predicted(item)
        matrix = overlap.confusion_matrix(prediction[~ignored], reference[~ignored], len(values))
        cases.append(item.case)
        matrices.append(matrix)
        contours.append(instances.largest_contour_percent(reference))
        pixels.append(instances.largest_object_percent(reference))
        masks.append((prediction > 0, reference > 0))
        e_values.append(foreground.e_measure(*masks[-1]))
        errors.append(foreground.mean_absolute_error(*masks[-1]))
        for value, name in classes.items():
            if value:
                rows.append(paper_row(item, value, name, overlap.counts_of_class(matrix, value)))
    stack = np.stack(matrices)
    whole = class_weighted(stack)
    result: dict[str, Any] = {
        "dice": whole["micro"]["dice"],
        "iou": whole["micro"]["iou"],
        "e_measure": float(np.mean(e_values)),
        "e_measure_whole_batch": foreground.e_measure(*(np.stack(maps) for maps in zip(*masks, strict=True))),
        "mean_absolute_error": float(np.mean(errors)),
        "classes": whole,
        "images": {
            case: {"contour_percent": c, "object_percent": o, "e_measure": e, "absolute_error": a}
            for case, c, o, e, a in zip(cases, contours, pixels, e_values, errors, strict=True)
        },
        "below_percent": _subsets(
            stack, np.array(pixels if options.size == "object" else contours), options.sizes, cases
        ),
    }
    deviations = [
        *grid_deviation(grid, PUBLISHED_GRID),
        "Q9: the E-measure is taken per image; the value with the means over the whole set stands beside it",
        "Q10: the mean absolute error is that of the foreground masks",
        "Q11: a size subset that holds the first image alone is not skipped",
        "the sizes of objects are measured on the masks as given, in the publication at the original size",
    ]
    if options.size == "object":
        deviations.append(
            "the size of an object is its pixel count, in the publication the area inside its outer contour"
        )
    protocol = {"grid": list(grid), "ignore_value": options.ignore_value, "size": options.size}
    return FamilyReport(rows, [n for v, n in classes.items() if v], (), result, protocol, deviations)
