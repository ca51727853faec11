# SPDX-License-Identifier: Apache-2.0
"""The paper protocol: loads the cases as a family needs them and turns its report into a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from sa2_monai.evaluation.cases.case_files import CaseFiles
from sa2_monai.evaluation.cases.failures import Failures
from sa2_monai.evaluation.cases.loading import CaseLoader, LoadedCase
from sa2_monai.evaluation.cases.pairing import pair
from sa2_monai.evaluation.options import EvaluationOptions
from sa2_monai.evaluation.paper.base import FamilyReport
from sa2_monai.evaluation.paper.image import ensemble_loader, image, image_ensemble, image_loader
from sa2_monai.evaluation.paper.pooled import cell, cell_loader, pooled, pooled_loader
from sa2_monai.evaluation.paper.size_range import size_range, size_range_loader
from sa2_monai.evaluation.paper.volume import image_2d, image_2d_loader, volume, volume_loader
from sa2_monai.evaluation.paper_options import PaperOptions
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.statistics import none_if_nan
from sa2_monai.evaluation.scores.summary import few_cases, summarize, summary_document

__all__ = ["FAMILIES", "VERSION", "Family", "run"]

VERSION = 1


class Family(NamedTuple):
    """How a family reads its cases, and what it computes from them.

    Attributes:
        loader: makes the loader from the files and the options.
        report: computes the published numbers.
    """

    loader: Callable[[CaseFiles, EvaluationOptions], CaseLoader]
    report: Callable[[Iterable[LoadedCase], Mapping[int, str], PaperOptions], FamilyReport]


FAMILIES: dict[str, Family] = {
    "image": Family(image_loader, image),
    "image_ensemble": Family(ensemble_loader, image_ensemble),
    "pooled": Family(pooled_loader, pooled),
    "cell": Family(cell_loader, cell),
    "volume": Family(volume_loader, volume),
    "image_2d": Family(image_2d_loader, image_2d),
    "size_range": Family(size_range_loader, size_range),
}


def run(cases: CaseFiles, options: EvaluationOptions) -> EvaluationResult:
    """Evaluate by one family of the paper protocol.

    Args:
        cases: the files.
        options: of the protocol; ``family`` names the family.

    Returns:
        A result whose summary has the blocks ``paper`` (the numbers by the published definition) and ``deviations``
        beside those of the clinical protocol.

    Raises:
        FileNotFoundError: when a reference does not exist.
        ValueError: as :func:`sa2_monai.evaluation.evaluate`; also for masks on another grid than that of the family.
    """
    family = FAMILIES[str(options.family)]
    loader = family.loader(cases, options)
    warnings = pair(loader.predictions, cases.references, options.allow_missing)
    failures = Failures(options.on_error)
    measured: list[str] = []

    def items() -> Iterator[LoadedCase]:
        for case in cases.references:
            item = failures.attempt(case, partial(loader.load, case))
            if item is not None:
                measured.append(case)
                yield item
        failures.check_any_left(len(cases.references))

    report = family.report(items(), options.table, options.published)
    report.rows.sort(key=lambda row: (row["case"], row["class_value"]))
    bootstrap = options.bootstrap(measured, cases.groups)
    warnings += failures.warnings(len(cases.references)) + few_cases(bootstrap.units)
    summary = summary_document(
        {
            "name": "paper",
            "version": VERSION,
            "family": options.family,
            "unit": "px",
            **report.protocol,
            "bootstrap": options.draws(cases.groups),
        },
        len(measured),
        {value: name for value, name in options.table.items() if name in report.names},
        {
            **summarize(report.rows, measured, report.names, bootstrap, report.metrics),
            "paper": _strict(report.values),
            "deviations": report.deviations,
        },
        failures.entries(loader.predictions, cases.references),
        warnings,
    )
    return EvaluationResult(report.rows, summary, loader.load, cases.images, cases.groups)


def _strict(value: Any) -> Any:
    """Replace ``NaN`` by ``None``, in nested dicts and lists."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return none_if_nan(value) if isinstance(value, float) else value
