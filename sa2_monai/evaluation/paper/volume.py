# SPDX-License-Identifier: Apache-2.0
"""Families ``volume`` (Synapse, ACDC) and ``image_2d`` (HSA-UNet's 2D sets): MedPy values with stand-ins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.case_files import CaseFiles
from sa2_monai.evaluation.cases.loading import CaseLoader, LoadedCase
from sa2_monai.evaluation.options import EvaluationOptions
from sa2_monai.evaluation.paper.base import (
    FamilyReport,
    grid_deviation,
    paper_row,
    some_cases,
)
from sa2_monai.evaluation.paper.grids import GridLoader, grid_arguments
from sa2_monai.evaluation.paper_options import PaperOptions
from sa2_monai.metrics import overlap, surface
from sa2_monai.metrics.overlap import Counts
from sa2_monai.metrics.structures import Structure, measure_structures

__all__ = ["image_2d", "image_2d_loader", "stand_in_values", "volume", "volume_loader"]

PUBLISHED_GRID = 224
_MEDPY = ("dice", "hd95")
_SHARES = ("sensitivity", "specificity", "accuracy")


def volume_loader(cases: CaseFiles, options: EvaluationOptions) -> CaseLoader:
    """Make the loader of the family ``volume``: volumes are compared on the grid of their files."""
    files = cases.label_maps(options.prediction_suffix)
    return CaseLoader(files, cases.references, options.table, options.label_values)


def image_2d_loader(cases: CaseFiles, options: EvaluationOptions) -> GridLoader:
    """Make the loader of the family ``image_2d``."""
    return GridLoader(**grid_arguments(cases, options, PUBLISHED_GRID))


def stand_in_values(structure: Structure) -> tuple[float, float]:
    """Compute Dice and pooled HD95 in voxels by the published rule for empty masks.

    Args:
        structure: counts and surface distances of one class, in voxels.

    Returns:
        ``(dice, hd95)``: MedPy's values when both masks have pixels, ``(1, 0)`` when only the prediction has,
        ``(0, 0)`` otherwise. The rule rewards false alarms; it is here because published tables contain it.
    """
    counts = structure.counts
    if counts.prediction and counts.reference:
        return overlap.dice(counts), surface.hd95_pooled(*structure.distances)
    return (1.0 if counts.prediction else 0.0), 0.0


def published_shares(counts: Counts) -> dict[str, float]:
    """Compute sensitivity, specificity and accuracy by HSA-UNet's rule: zeros when a mask is empty.

    Args:
        counts: of one class.

    Returns:
        The three shares; 0 for one whose denominator is 0, as published.
    """
    if not (counts.prediction and counts.reference):
        return dict.fromkeys(_SHARES, 0.0)
    return {name: float(np.nan_to_num(getattr(overlap, name)(counts))) for name in _SHARES}


@dataclass
class _Rows:
    """Rows of cases, and where HSA-UNet's code has no number for them.

    Attributes:
        classes: value -> name.
        shares: whether HSA-UNet's shares are computed as well.
        rows: one per case and class.
        full: class -> cases in which it fills both masks. The published code takes a confusion matrix of 2x2 apart,
            which there is one of 1x1, and ends with an error.
    """

    classes: Mapping[int, str]
    shares: bool
    rows: list[dict[str, Any]] = field(default_factory=list)
    full: dict[str, list[str]] = field(default_factory=dict)

    def add(self, item: LoadedCase) -> None:
        """Measure a case."""
        for value, structure in measure_structures(item.predicted, item.reference, self.classes).items():
            counts = structure.counts
            row = paper_row(item, value, self.classes[value], counts)
            row.update(zip(_MEDPY, stand_in_values(structure), strict=True))
            if self.shares:
                row.update(published_shares(counts))
                if counts.tp == item.reference.size:
                    self.full.setdefault(self.classes[value], []).append(item.case)
            self.rows.append(row)

    def values(self, metrics: tuple[str, ...]) -> dict[str, Any]:
        """Means of the cases by class, and of these; takes the accuracy, which is no column, out of the rows."""
        names = list(self.classes.values())
        per_class = {
            name: {m: float(np.mean([row[m] for row in self.rows if row["class_name"] == name])) for m in metrics}
            for name in names
        }
        for row in self.rows:
            row.pop("accuracy", None)
        return {**{m: float(np.mean([per_class[name][m] for name in names])) for m in metrics}, "per_class": per_class}

    def deviations(self) -> list[str]:
        """The cases for which the published code has no number."""
        return [
            f"class {name} fills both masks of {some_cases(cases)}: the published code ends with an error there, here "
            "Dice, sensitivity and accuracy are 1, specificity and HD95 0"
            for name, cases in self.full.items()
        ]


def volume(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute Dice and HD95 (voxels) per case and class, averaged per class and then over classes.

    With ``background`` the background is one of them: HSA-UNet's mean of nine numbers, which its Dice of 1 lifts. Its
    sensitivity, specificity and accuracy are computed then, too.
    """
    found = _Rows({v: name for v, name in classes.items() if v or options.background}, options.background)
    for item in items:
        found.add(item)
    metrics = (*_MEDPY, *_SHARES) if options.background else _MEDPY
    zeros = "(1, 0, 0, 0, 0), otherwise zeros" if options.background else "(1, 0), otherwise (0, 0)"
    protocol = {"hd95": "pooled, voxels", "empty": f"prediction alone {zeros}", "background": options.background}
    columns = tuple(name for name in metrics if name != "accuracy")  # a value of this family, not one of the table
    values = found.values(metrics)
    return FamilyReport(found.rows, list(found.classes.values()), columns, values, protocol, found.deviations())


def image_2d(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute Dice, HD95 (pixels), sensitivity, specificity and accuracy per image and class, background included."""
    grid = options.grid_size(PUBLISHED_GRID)
    found = _Rows(classes, shares=True)
    for item in items:
        found.add(item)
    values = found.values((*_MEDPY, *_SHARES))
    deviations = [
        *grid_deviation(grid, PUBLISHED_GRID, options),
        "Q7: the test images are not augmented; the published numbers contain random flips and deformations",
        "Q8: images and masks are paired by name, in the publication by the order of a directory listing",
        *found.deviations(),
    ]
    protocol = {
        "grid": list(grid),
        "hd95": "pooled, pixels",
        "empty": "prediction alone (1, 0, 0, 0, 0), otherwise zeros",
    }
    return FamilyReport(found.rows, list(classes.values()), (*_MEDPY, *_SHARES[:2]), values, protocol, deviations)
