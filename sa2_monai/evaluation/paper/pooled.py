# SPDX-License-Identifier: Apache-2.0
"""Families ``pooled`` (ISIC 2018) and ``cell`` (SegPC 2021): one confusion matrix over all pixels of all images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.data import read_image
from sa2_monai.evaluation.cases.case_files import CaseFiles
from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.cases.pairing import collect
from sa2_monai.evaluation.options import EvaluationOptions
from sa2_monai.evaluation.paper.base import (
    FamilyReport,
    binary_name,
    grid_deviation,
    paper_row,
)
from sa2_monai.evaluation.paper.grids import RULES, GridLoader, grid_arguments, resize_labels
from sa2_monai.evaluation.paper_options import PaperOptions
from sa2_monai.io.label_maps import read_label_map
from sa2_monai.metrics import overlap
from sa2_monai.metrics.overlap import Counts

__all__ = ["CellLoader", "cell", "cell_loader", "pooled", "pooled_loader", "pooled_values"]

PUBLISHED_GRID = 224


@dataclass(frozen=True)
class CellLoader(GridLoader):
    """Sets the pixels of the nucleus to background in prediction and reference.

    Args:
        nuclei: case -> mask of the nucleus, path or array, non-zero inside; at the size of the reference or the grid.
        images: case -> image whose last channel is the nucleus; instead of ``nuclei``.
    """

    nuclei: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] | None = None

    def load(self, case: str) -> LoadedCase:
        """Read a case and take its nucleus out.

        Raises:
            FileNotFoundError: when the reference or the mask of the nucleus does not exist.
            ValueError: when there is no nucleus for the case, or its shape differs.
        """
        item = super().load(case)
        array, source = self._nucleus(case)
        sizes = [self.grid] if item.original is None else [item.original.shape, self.grid]
        if array.shape not in sizes:
            raise ValueError(
                f"case {case}: its nucleus {source or '(array)'} has shape {array.shape}, expected {sizes[0]}"
            )
        outside = resize_labels(array == 0, self.grid, RULES[self.family])
        prediction = None if item.prediction is None else np.where(outside, item.prediction, 0)
        return replace(item, prediction=prediction, reference=np.where(outside, item.reference, 0))

    def _nucleus(self, case: str) -> tuple[np.ndarray, str]:
        if self.images is None:
            if case not in self.nuclei:
                raise ValueError(
                    f"case {case}: nuclei has no mask for it; family 'cell' needs the nucleus of every cell"
                )
            label = read_label_map(self.nuclei[case], f"nucleus of case {case}")
            return label.array, label.source
        image = self.images.get(case)
        if image is None:
            raise ValueError(f"case {case}: has no image, from whose last channel nuclei='image' takes the nucleus")
        if isinstance(image, (list, tuple)) and image and isinstance(image[-1], (str, Path)):
            label = read_label_map(image[-1], f"nucleus of case {case}")  # channels in files of their own
            return label.array, label.source
        is_file = isinstance(image, (str, Path))
        channels = read_image(image) if is_file else np.asarray(image)
        if channels.ndim != 3 or channels.shape[2] < 2:
            raise ValueError(
                f"{image if is_file else f'image of case {case}'}: has shape {channels.shape}, expected (H, W, C) with "
                "the nucleus in the last channel"
            )
        return channels[:, :, -1], str(image) if is_file else ""


def pooled_loader(cases: CaseFiles, options: EvaluationOptions) -> GridLoader:
    """Make the loader of the family ``pooled``."""
    return GridLoader(**grid_arguments(cases, options, PUBLISHED_GRID))


def cell_loader(cases: CaseFiles, options: EvaluationOptions) -> CellLoader:
    """Make the loader of the family ``cell``, with the masks of the nuclei or the images that hold them."""
    arguments = grid_arguments(cases, options, PUBLISHED_GRID)
    nuclei = options.published.nuclei
    if nuclei == "image":
        return CellLoader(**arguments, images=cases.images)
    return CellLoader(**arguments, nuclei={} if nuclei is None else collect(nuclei, "nucleus"))


def pooled_values(total: Counts) -> dict[str, Any]:
    """Compute the published numbers from the pooled counts of the foreground.

    Returns:
        ``dice`` of the foreground, ``jaccard`` as the mean of foreground and background, and ``accuracy``, which is
        also what the publication calls F1, precision, recall and specificity (micro-averages over two classes).
        ``lesion`` holds precision, sensitivity, specificity and Jaccard of the foreground, which are not published.
    """
    background = Counts(total.tn, total.fn, total.fp, total.tp)
    accuracy = overlap.accuracy(total)
    values: dict[str, Any] = {
        "dice": overlap.dice(total),
        "jaccard": (overlap.jaccard(total) + overlap.jaccard(background)) / 2,
        "accuracy": accuracy,
        "f1_precision_recall_specificity_as_printed": accuracy,
        "lesion": {
            "jaccard": overlap.jaccard(total),
            "precision": overlap.precision(total),
            "sensitivity": overlap.sensitivity(total),
            "specificity": overlap.specificity(total),
        },
        "counts": total._asdict(),
    }
    return values


def _report(
    items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions, family: str
) -> FamilyReport:
    value, name = binary_name(classes, family)
    grid = options.grid_size(PUBLISHED_GRID)
    rows, sums = [], np.zeros(4, dtype=np.int64)
    for item in items:
        counts = overlap.counts(item.predicted == value, item.reference == value)
        rows.append(paper_row(item, value, name, counts))
        sums += counts
    values = pooled_values(Counts(*(int(n) for n in sums)))
    deviations = [
        *grid_deviation(grid, PUBLISHED_GRID, options),
        "the split is made from sorted names; the published one follows a directory listing",
    ]
    return FamilyReport(rows, [name], (), values, {"grid": list(grid)}, deviations)


def pooled(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Pool the pixels of all images and compute Dice, Jaccard and accuracy once."""
    return _report(items, classes, options, "pooled")


def cell(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute the same over the cytoplasm: items come from :class:`CellLoader`, without the nucleus."""
    return _report(items, classes, options, "cell")
