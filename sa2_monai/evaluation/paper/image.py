# SPDX-License-Identifier: Apache-2.0
"""Families ``image`` and ``image_ensemble``: GlaS and MoNuSeg as published with SA2-Net."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.evaluation.cases.case_files import CaseFiles
from sa2_monai.evaluation.cases.loading import CaseLoader, LoadedCase
from sa2_monai.evaluation.options import EvaluationOptions
from sa2_monai.evaluation.paper.base import FamilyReport, binary_name, grid_deviation, paper_row
from sa2_monai.evaluation.paper.published_mask import published_mask
from sa2_monai.evaluation.paper_options import PaperOptions
from sa2_monai.io.label_maps import IMAGES, LabelMap, case_name
from sa2_monai.io.label_values import NONZERO
from sa2_monai.metrics import overlap

__all__ = [
    "EnsembleLoader",
    "ImageLoader",
    "ensemble_loader",
    "image",
    "image_dice",
    "image_ensemble",
    "image_iou",
    "image_loader",
]

PUBLISHED_GRID = 224


def image_dice(counts: overlap.Counts, plus_one: bool = False) -> float:
    """Published Dice of an image, ``2I/(|P|+|R|+1e-5)``; with ``plus_one`` ``(2I+1)/(|P|+|R|+1e-5+1)``."""
    one = 1 if plus_one else 0
    return (2 * counts.tp + one) / (counts.prediction + counts.reference + 1e-5 + one)


def image_iou(counts: overlap.Counts) -> float:
    """Published IoU of an image, 0 for an empty union."""
    union = counts.tp + counts.fp + counts.fn
    return counts.tp / union if union else 0.0


@dataclass(frozen=True)
class ImageLoader(CaseLoader):
    """Loads references onto the published grid; predictions must lie on it already."""

    options: PaperOptions = field(default_factory=PaperOptions)

    def load(self, case: str) -> LoadedCase:
        """Read both masks of a case; both are uint8 0/1 on the grid.

        Raises:
            FileNotFoundError: when the reference does not exist.
            ValueError: when the prediction lies on another grid or the reference does not fit in 8 bits.
        """
        grid = self.options.grid_size(PUBLISHED_GRID)
        item = super().load(case)
        where = item.geometry.source or f"reference of case {case}"
        foreground = item.reference != 0
        inside = self.options.reference_foreground
        values = np.where(foreground, item.geometry.array if inside is None else inside, 0)
        reference = published_mask(values, grid, where)
        prediction = item.prediction
        if prediction is not None and prediction.shape != grid:
            raise ValueError(
                f"case {case}: the prediction {item.prediction_file or '(array)'} has shape {prediction.shape}, the "
                f"paper protocol compares at {grid[0]}x{grid[1]}; run inference with the paper overlay, it writes that"
            )
        if prediction is not None:
            prediction = (prediction != 0).astype(np.uint8)
        return replace(item, prediction=prediction, reference=reference)


@dataclass(frozen=True)
class EnsembleLoader(ImageLoader):
    """Averages the probability maps of several models and cuts at 0.5."""

    members: Sequence[Mapping[str, Any]] = ()

    def prediction(self, case: str) -> tuple[LabelMap, np.ndarray] | None:
        """Return the mask of the averaged probabilities, or ``None`` where no model has the case."""
        from sa2_monai.evaluation.cases.probabilities import exists, read_probability

        maps = [member[case] for member in self.members if exists(member.get(case))]
        if not maps:
            return None
        if len(maps) < len(self.members):
            raise ValueError(f"case {case}: only {len(maps)} of {len(self.members)} models of the ensemble have it")
        arrays = [read_probability(m, f"probabilities of case {case}", alone=len(maps) == 1) for m in maps]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            raise ValueError(f"case {case}: the probability maps of the models have different shapes {sorted(shapes)}")
        mask = (np.mean(arrays, axis=0) > 0.5).astype(np.uint8)
        source = "" if isinstance(maps[0], np.ndarray) else str(maps[0])
        return LabelMap(mask, (1.0, 1.0), "px", None, source), mask


def _values_of(options: EvaluationOptions) -> Mapping[int, int] | str | None:
    """The published code takes every value above 0 for the one class."""
    return NONZERO if options.label_values is None and len(options.table) == 2 else options.label_values


def image_loader(cases: CaseFiles, options: EvaluationOptions) -> ImageLoader:
    """Make the loader of the family ``image``."""
    files = cases.label_maps(options.prediction_suffix)
    values = _values_of(options)
    return ImageLoader(files, cases.references, options.table, values, same_grid=False, options=options.published)


def ensemble_loader(cases: CaseFiles, options: EvaluationOptions) -> EnsembleLoader:
    """Make the loader of the family ``image_ensemble``."""
    members = cases.probability_maps(options.prediction_suffix)
    files = {case: item for member in members for case, item in member.items()}
    values, published = _values_of(options), options.published
    return EnsembleLoader(
        files, cases.references, options.table, values, same_grid=False, options=published, members=members
    )


def image(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute Dice and IoU per image on the published grid and their plain means.

    Raises:
        ValueError: for more than one foreground class, or ``plus_one`` (which belongs to the ensemble).
    """
    if options.plus_one:
        raise ValueError("plus_one belongs to the family 'image_ensemble'")
    return _report(items, classes, options, "image")


def image_ensemble(items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions) -> FamilyReport:
    """Compute the same for masks of averaged probabilities; ``plus_one`` is the variant of MoNuSeg."""
    return _report(items, classes, options, "image_ensemble")


def _report(
    items: Iterable[LoadedCase], classes: Mapping[int, str], options: PaperOptions, family: str
) -> FamilyReport:
    value, name = binary_name(classes, family)
    grid = options.grid_size(PUBLISHED_GRID)
    rows, eight_bit, ones = [], False, True
    for item in items:
        counts = overlap.counts(item.predicted, item.reference)
        row = paper_row(item, value, name, counts)
        row.update(dice=image_dice(counts, options.plus_one), jaccard=image_iou(counts))
        rows.append(row)
        ones = ones and int(item.geometry.array.max()) <= 1
        file = item.prediction_file.lower()
        eight_bit = eight_bit or (file.endswith(IMAGES) and case_name(Path(file)).endswith("_prob"))
    deviations = grid_deviation(grid, PUBLISHED_GRID)
    deviations.append("folds and splits are made from sorted names; the published ones follow a directory listing")
    if ones and options.reference_foreground is None:
        deviations.append(
            "the references hold 0 and 1; the published files hold 0/255 (MoNuSeg) or instance numbers (GlaS), whose "
            "resized border is up to a pixel wider (set reference_foreground=255 for 0/255)"
        )
    if eight_bit:
        deviations.append("probabilities were read from images, rounded to 1/255 or 1/65535")
    divisor = options.divisor or len(rows)
    if divisor != len(rows):
        deviations.append(f"the sums over {len(rows)} images are divided by {divisor}")
    values = {
        "dice": sum(row["dice"] for row in rows) / divisor,
        "iou": sum(row["jaccard"] for row in rows) / divisor,
        "divisor": divisor,
    }
    protocol = {"grid": list(grid), "plus_one": options.plus_one, "reference_foreground": options.reference_foreground}
    return FamilyReport(rows, [name], ("dice", "jaccard"), values, protocol, deviations)
