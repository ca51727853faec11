# SPDX-License-Identifier: Apache-2.0
"""Families ``pooled`` (ISIC 2018) and ``cell`` (SegPC 2021): one confusion matrix over all pixels of all images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sa2_monai.evaluation.labels import read_label_map
from sa2_monai.evaluation.loading import CaseLoader, LoadedCase
from sa2_monai.evaluation.paper.base import (
    FamilyReport,
    PaperOptions,
    binary_name,
    check_grid,
    grid_deviation,
    paper_row,
    predicted,
)
from sa2_monai.metrics import overlap
from sa2_monai.metrics.overlap import Counts

__all__ = ["CellLoader", "cell", "pooled", "pooled_values"]

PUBLISHED_GRID = 224


@dataclass(frozen=True)
class CellLoader(CaseLoader):
    """Sets the pixels of the nucleus to background in prediction and reference."""

    nuclei: Mapping[str, Any] = field(default_factory=dict)

    def load(self, case: str) -> LoadedCase:
        """Read a case and take its nucleus out.

        Raises:
            FileNotFoundError: when the reference or the mask of the nucleus does not exist.
            ValueError: when there is no nucleus for the case, or its shape differs.
        """
        item = super().load(case)
        if case not in self.nuclei:
            raise ValueError(f"case {case}: nuclei has no mask for it; family 'cell' needs the nucleus of every cell")
        nucleus = read_label_map(self.nuclei[case], f"nucleus of case {case}")
        if nucleus.array.shape != item.reference.shape:
            raise ValueError(
                f"case {case}: its nucleus {nucleus.source or '(array)'} has shape {nucleus.array.shape}, "
                f"expected {item.reference.shape}"
            )
        outside = nucleus.array == 0
        prediction = None if item.prediction is None else np.where(outside, item.prediction, 0)
        return replace(item, prediction=prediction, reference=np.where(outside, item.reference, 0))


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
        check_grid(item, grid, family)
        counts = overlap.counts(predicted(item) == value, item.reference == value)
        rows.append(paper_row(item, value, name, counts))
        sums += counts
    values = pooled_values(Counts(*(int(n) for n in sums)))
    deviations = [
        *grid_deviation(grid, PUBLISHED_GRID),
        "the split is made from sorted names; the published one follows a directory listing",
    ]
    return FamilyReport(rows, [name], (), values, {"grid": list(grid)}, deviations)


def pooled(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Pool the pixels of all images and compute Dice, Jaccard and accuracy once."""
    return _report(items, classes, options, "pooled")


def cell(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute the same over the cytoplasm: items come from :class:`CellLoader`, without the nucleus."""
    return _report(items, classes, options, "cell")
