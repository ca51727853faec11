# SPDX-License-Identifier: Apache-2.0
"""Family ``size_range``: the evaluation of SvANet, pooled per class, weighted by images, and by size of the object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.case_files import CaseFiles
from sa2_monai.evaluation.cases.classes import check_not_all_ignored
from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.options import EvaluationOptions
from sa2_monai.evaluation.paper.base import (
    FamilyReport,
    grid_deviation,
    paper_row,
    some_cases,
)
from sa2_monai.evaluation.paper.grids import GridLoader, grid_arguments
from sa2_monai.evaluation.paper_options import PaperOptions
from sa2_monai.metrics import foreground, instances, overlap
from sa2_monai.metrics.structure_measure import s_measure

__all__ = ["class_weighted", "size_range", "size_range_loader"]

PUBLISHED_GRID = 512
_METRICS = {
    "iou": overlap.jaccard,
    "dice": overlap.dice,
    "precision": overlap.precision,
    "recall": overlap.sensitivity,
    "f2": overlap.f_beta,
}
_FOREGROUND = ("e_measure", "e_measure_whole_batch", "s_measure", "mean_absolute_error")


def size_range_loader(cases: CaseFiles, options: EvaluationOptions) -> GridLoader:
    """Make the loader of the family ``size_range``."""
    return GridLoader(**grid_arguments(cases, options, PUBLISHED_GRID))


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


@dataclass(frozen=True)
class _Image:
    """What is kept of an image: counts and numbers, no masks.

    Attributes:
        case: its name.
        matrix: confusion matrix of the pixels that are not ignored.
        foreground: pixels of any class against background, ignored ones being background in the reference.
        contour_percent: largest object by the area inside its outer contour.
        object_percent: the same by pixels.
        s_measure: of the foreground.
        on_grid: whether the reference had the size of the grid.
    """

    case: str
    matrix: np.ndarray
    foreground: overlap.Counts
    contour_percent: float
    object_percent: float
    s_measure: float
    on_grid: bool

    @property
    def e_measure(self) -> float:
        return foreground.e_measure_of_counts(self.foreground)

    @property
    def absolute_error(self) -> float:
        return 1 - overlap.accuracy(self.foreground)

    def description(self) -> dict[str, float]:
        """The numbers of the image in the summary."""
        names = ("contour_percent", "object_percent", "e_measure", "s_measure", "absolute_error")
        return {name: getattr(self, name) for name in names}


def _measure(item: LoadedCase, classes: int) -> _Image:
    reference, prediction = item.reference, item.predicted
    original = reference if item.original is None else item.original
    kept = slice(None) if item.ignored is None else ~item.ignored
    masks = prediction > 0, reference > 0
    return _Image(
        item.case,
        overlap.confusion_matrix(prediction[kept], reference[kept], classes),
        overlap.counts(*masks),
        instances.largest_contour_percent(original),
        instances.largest_object_percent(original),
        s_measure(*masks),
        original.shape == reference.shape,
    )


def _values(images: Sequence[_Image]) -> dict[str, Any]:
    """The values of a set of images: of the classes, and of the foreground per image and pooled."""
    pooled = overlap.Counts(*(sum(numbers) for numbers in zip(*(image.foreground for image in images), strict=True)))
    return {
        **class_weighted(np.stack([image.matrix for image in images])),
        "e_measure": float(np.mean([image.e_measure for image in images])),
        "e_measure_whole_batch": foreground.e_measure_of_counts(pooled, len(images)),
        "s_measure": float(np.mean([image.s_measure for image in images])),
        "mean_absolute_error": float(np.mean([image.absolute_error for image in images])),
    }


def _subset(images: Sequence[_Image], below: np.ndarray) -> dict[str, Any]:
    chosen = [image for image, is_in in zip(images, below, strict=True) if is_in]
    block: dict[str, Any] = {"images": len(chosen), "cases": [image.case for image in chosen]}
    return {**block, **_values(chosen)} if chosen else block


def size_range(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute the pooled, image-weighted values of the whole set and of the cumulative size subsets.

    Beside the published E-measure and absolute error of the foreground there is the S-measure, which the publication's
    code does not compute.

    Raises:
        ValueError: when the class values are not 0..C-1, or nothing but background and ignored pixels is left.
    """
    values = list(classes)
    if values != list(range(len(values))):
        raise ValueError(f"family 'size_range' needs class values 0..{len(values) - 1}, got {values}")
    grid = options.grid_size(PUBLISHED_GRID)
    rows: list[dict[str, Any]] = []
    images: list[_Image] = []
    ignored: list[str] = []
    for item in items:
        image = _measure(item, len(values))
        images.append(image)
        if item.ignored is not None and item.ignored.any():
            ignored.append(item.case)
        for value, name in classes.items():
            if value:
                rows.append(paper_row(item, value, name, overlap.counts_of_class(image.matrix, value)))
    if not any(image.matrix[1:].any() for image in images):
        check_not_all_ignored(options.ignore_value, bool(ignored))
    sizes = np.array([image.object_percent if options.size == "object" else image.contour_percent for image in images])
    whole = _values(images)
    result: dict[str, Any] = {
        **{name: whole["micro"][name] for name in ("dice", "iou", "precision", "recall", "f2")},
        **{name: whole.pop(name) for name in _FOREGROUND},
        "classes": whole,
        "images": {image.case: image.description() for image in images},
        "below_percent": {f"{limit:g}": _subset(images, sizes < limit) for limit in options.sizes},
    }
    deviations = [
        *grid_deviation(grid, PUBLISHED_GRID, options),
        "Q9: the E-measure is taken per image; the value with the means over the whole set stands beside it",
        "Q10: the mean absolute error is that of the foreground masks",
        "Q11: a size subset that holds the first image alone is not skipped",
        "the S-measure is not published, neither in the tables nor in the code",
    ]
    if ignored:
        deviations.append(
            f"pixels of the value {options.ignore_value}, which count in no class ({some_cases(ignored)}), are "
            "background for the E-measure, the mean absolute error and the sizes of objects; in the publication they "
            "are foreground there"
        )
    if all(image.on_grid for image in images):
        deviations.append("the sizes of objects are measured on the grid, in the publication on the masks as stored")
    if options.size == "object":
        deviations.append(
            "the size of an object is its pixel count, in the publication the area inside its outer contour"
        )
    protocol = {"grid": list(grid), "ignore_value": options.ignore_value, "size": options.size}
    return FamilyReport(rows, [n for v, n in classes.items() if v], (), result, protocol, deviations)
