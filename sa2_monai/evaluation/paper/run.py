# SPDX-License-Identifier: Apache-2.0
"""The paper protocol: loads the cases as a family needs them and turns its report into a result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sa2_monai.evaluation.cases.classes import value_table
from sa2_monai.evaluation.cases.failures import Failures
from sa2_monai.evaluation.cases.loading import CaseLoader, LoadedCase
from sa2_monai.evaluation.cases.pairing import collect, collect_probabilities, pair
from sa2_monai.evaluation.paper.base import FamilyReport, PaperOptions
from sa2_monai.evaluation.paper.grids import GridLoader
from sa2_monai.evaluation.paper.image import EnsembleLoader, ImageLoader, image, image_ensemble
from sa2_monai.evaluation.paper.pooled import PUBLISHED_GRID as POOLED_GRID
from sa2_monai.evaluation.paper.pooled import CellLoader, cell, pooled
from sa2_monai.evaluation.paper.size_range import PUBLISHED_GRID as SIZE_RANGE_GRID
from sa2_monai.evaluation.paper.size_range import size_range
from sa2_monai.evaluation.paper.volume import PUBLISHED_GRID as IMAGE_2D_GRID
from sa2_monai.evaluation.paper.volume import image_2d, volume
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.statistics import Bootstrap
from sa2_monai.evaluation.scores.summary import NOTICE, few_cases, software, summarize
from sa2_monai.io.names import same_forms

__all__ = ["FAMILIES", "VERSION", "evaluate_paper"]

VERSION = 1
Family = Callable[[Iterable[LoadedCase], Mapping[int, str], PaperOptions], FamilyReport]
FAMILIES: dict[str, Family] = {
    "image": image,
    "image_ensemble": image_ensemble,
    "pooled": pooled,
    "cell": cell,
    "volume": volume,
    "image_2d": image_2d,
    "size_range": size_range,
}

GRIDS = {"pooled": POOLED_GRID, "cell": POOLED_GRID, "image_2d": IMAGE_2D_GRID, "size_range": SIZE_RANGE_GRID}


def _members(predictions: Any, suffix: str) -> list[dict[str, Any]]:
    """Return the probability maps of every model: one source, or a list of folders or mappings."""
    several = isinstance(predictions, (list, tuple)) and all(
        isinstance(item, Mapping) or (isinstance(item, (str, Path)) and Path(item).is_dir()) for item in predictions
    )
    return [collect_probabilities(source, suffix) for source in (predictions if several else [predictions])]


def _ignored(
    family: str,
    options: PaperOptions,
    ignore_value: int | None,
    label_values: Mapping[int, int] | str | None,
    classes: Mapping[int, str],
) -> int | None:
    """The value whose pixels are left out: the published 255 only where it is none of a class."""
    if family != "size_range" or ignore_value is not None:
        return ignore_value
    table = value_table(label_values, classes, lenient=True)
    return None if isinstance(table, str) or options.ignore_value in table else options.ignore_value


def _strict(value: Any) -> Any:
    """Replace ``NaN`` by ``None``, in nested dicts and lists."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def evaluate_paper(
    family: str,
    predictions: Any,
    references: Mapping[str, Any],
    classes: Mapping[int, str],
    options: PaperOptions,
    bootstrap_of: Callable[[Sequence[str]], Bootstrap],
    *,
    label_values: Mapping[int, int] | str | None = None,
    allow_missing: bool = True,
    prediction_suffix: str = "",
    images: Mapping[str, Any] | None = None,
    ignore_value: int | None = None,
    failures: Failures | None = None,
) -> EvaluationResult:
    """Evaluate by one family of the paper protocol.

    Args:
        family: one of :data:`FAMILIES`.
        predictions: as for :func:`sa2_monai.evaluation.evaluate`.
        references: case -> path or array, sorted by case.
        classes: value -> name, background included.
        options: options of the families.
        bootstrap_of: makes the draws over given cases.
        label_values: table of the values in the references; the families ``image`` take any value above 0 by default.
        allow_missing: count a case without a prediction as missed instead of refusing.
        prediction_suffix: ending of the prediction files' names that is not part of the case.
        images: case -> image, for ``nuclei="image"``.
        ignore_value: value of ignored pixels in place of that of the options (``size_range``).
        failures: what to do with a case that cannot be measured; the error is raised without it.

    Returns:
        A result whose summary has the blocks ``paper`` (the numbers by the published definition) and ``deviations``
        beside those of the clinical protocol.

    Raises:
        FileNotFoundError: when a reference does not exist.
        ValueError: as :func:`sa2_monai.evaluation.evaluate`; also for masks on another grid than that of the family.
    """
    loader: CaseLoader
    if family in ("image", "image_ensemble"):
        values = "nonzero" if label_values is None and len(classes) == 2 else label_values
        if family == "image":
            files = same_forms(collect(predictions, "prediction", prediction_suffix), references)
            loader = ImageLoader(files, references, classes, values, same_grid=False, options=options)
        else:
            members = _members(predictions, prediction_suffix)
            files = {case: item for member in members for case, item in member.items()}
            loader = EnsembleLoader(
                files, references, classes, values, same_grid=False, options=options, members=members
            )
    else:
        files = same_forms(collect(predictions, "prediction", prediction_suffix), references)
        if family not in GRIDS:
            loader = CaseLoader(files, references, classes, label_values)
        else:
            options = replace(options, ignore_value=_ignored(family, options, ignore_value, label_values, classes))
            shared: dict[str, Any] = {
                "ignore_value": options.ignore_value,
                "family": family,
                "grid": options.grid_size(GRIDS[family]),
                "resize_predictions": options.resize_predictions,
            }
            if family == "cell":
                nuclei = collect(options.nuclei, "nucleus") if options.nuclei not in (None, "image") else {}
                of_images = (images or {}) if options.nuclei == "image" else None
                loader = CellLoader(files, references, classes, label_values, nuclei=nuclei, images=of_images, **shared)
            else:
                loader = GridLoader(files, references, classes, label_values, **shared)
    warnings = pair(files, references, allow_missing)
    failures = failures or Failures("raise")
    cases: list[str] = []

    def items() -> Iterator[LoadedCase]:
        for case in references:
            item = failures.attempt(case, partial(loader.load, case))
            if item is not None:
                cases.append(case)
                yield item
        failures.check_any_left(len(references))

    report = FAMILIES[family](items(), classes, options)
    bootstrap = bootstrap_of(cases)
    report.rows.sort(key=lambda row: (row["case"], row["class_value"]))
    warnings += failures.warnings(len(references)) + few_cases(bootstrap.units)
    summary = {
        "protocol": {"name": "paper", "version": VERSION, "family": family, "unit": "px", **report.protocol},
        "software": software(),
        "cases": len(cases),
        "classes": {str(value): name for value, name in classes.items() if name in report.names},
        **summarize(report.rows, cases, report.names, bootstrap, report.metrics),
        "paper": _strict(report.values),
        "deviations": report.deviations,
        "failed": failures.entries(files, references),
        "warnings": warnings,
        "notice": NOTICE,
    }
    return EvaluationResult(report.rows, summary, loader.load)
