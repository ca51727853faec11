# SPDX-License-Identifier: Apache-2.0
"""Families ``volume`` (Synapse, ACDC) and ``image_2d`` (HSA-UNet's 2D sets): MedPy values with stand-ins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sa2_monai.evaluation.loading import LoadedCase
from sa2_monai.evaluation.paper.base import FamilyReport, PaperOptions, grid_deviation, paper_row, predicted
from sa2_monai.metrics import overlap, surface
from sa2_monai.metrics.structures import Structure, measure_structures

__all__ = ["image_2d", "stand_in_values", "volume"]

PUBLISHED_GRID = 224


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


def _means(rows: list[dict[str, Any]], names: list[str], metrics: tuple[str, ...]) -> dict[str, Any]:
    per_class = {
        name: {m: float(np.mean([row[m] for row in rows if row["class_name"] == name])) for m in metrics}
        for name in names
    }
    totals = {m: float(np.mean([per_class[name][m] for name in names])) for m in metrics}
    return {**totals, "per_class": per_class}


def volume(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute Dice and HD95 (voxels) per case and class, averaged per class and then over classes.

    With ``background`` the background is one of them: HSA-UNet's mean of nine numbers, which its Dice of 1 lifts.
    """
    measured = {value: name for value, name in classes.items() if value or options.background}
    names = list(measured.values())
    rows = []
    for item in items:
        for value, structure in measure_structures(predicted(item), item.reference, measured).items():
            dice, hd95 = stand_in_values(structure)
            row = paper_row(item, value, classes[value], structure.counts)
            row.update(dice=dice, hd95=hd95)
            rows.append(row)
    metrics = ("dice", "hd95")
    protocol = {
        "hd95": "pooled, voxels",
        "empty": "prediction alone (1, 0), otherwise (0, 0)",
        "background": options.background,
    }
    return FamilyReport(rows, names, metrics, _means(rows, names, metrics), protocol)


def image_2d(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute Dice, HD95 (pixels), sensitivity, specificity and accuracy per image and class, background included."""
    grid = options.grid_size(PUBLISHED_GRID)
    names = list(classes.values())
    rows = []
    for item in items:
        for value, structure in measure_structures(predicted(item), item.reference, classes).items():
            counts = structure.counts
            dice, hd95 = stand_in_values(structure)
            row = paper_row(item, value, classes[value], counts)
            shares = dict.fromkeys(("sensitivity", "specificity", "accuracy"), 0.0)
            if row["status"] == "ok":
                # without true negatives and false positives the published code has 0, not an undefined value
                shares = {k: float(np.nan_to_num(getattr(overlap, k)(counts))) for k in shares}
            row.update(dice=dice, hd95=hd95, **shares)
            rows.append(row)
    metrics = ("dice", "hd95", "sensitivity", "specificity", "accuracy")
    values = _means(rows, names, metrics)
    for row in rows:
        del row["accuracy"]  # a value of this family, not a column of the table
    deviations = [
        *grid_deviation(grid, PUBLISHED_GRID, options),
        "Q7: the test images are not augmented; the published numbers contain random flips and deformations",
        "Q8: images and masks are paired by name, in the publication by the order of a directory listing",
    ]
    protocol = {
        "grid": list(grid),
        "hd95": "pooled, pixels",
        "empty": "prediction alone (1, 0, 0, 0, 0), otherwise zeros",
    }
    return FamilyReport(rows, names, metrics[:-1], values, protocol, deviations)
