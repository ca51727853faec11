# SPDX-License-Identifier: Apache-2.0
"""The clinical protocol: cases on their own grid, distances in the unit of the file, missing structures by state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sa2_monai.evaluation.cases.case_files import CaseFiles
from sa2_monai.evaluation.cases.classes import check_not_all_ignored
from sa2_monai.evaluation.cases.failures import Failures
from sa2_monai.evaluation.cases.loading import CaseLoader, LoadedCase
from sa2_monai.evaluation.cases.pairing import pair
from sa2_monai.evaluation.cases.processes import share_cases
from sa2_monai.evaluation.options import EvaluationOptions
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.case_rows import case_rows, diagonal
from sa2_monai.evaluation.scores.constant_prediction import constant_prediction_warnings, everything_marked_dice
from sa2_monai.evaluation.scores.instances import InstanceCounts, count_instances, summarize_instances
from sa2_monai.evaluation.scores.rows import METRICS
from sa2_monai.evaluation.scores.size_strata import SIZE_COLUMN, object_percent, summarize_strata
from sa2_monai.evaluation.scores.summary import few_cases, summarize, summary_document
from sa2_monai.evaluation.strata.measure import measure_properties
from sa2_monai.evaluation.strata.properties import properties_of
from sa2_monai.evaluation.strata.thirds import summarize_properties
from sa2_monai.io.label_values import NONZERO, THRESHOLD
from sa2_monai.io.problems import grouped

__all__ = ["VERSION", "run"]

VERSION = 1


@dataclass(frozen=True)
class _Measured:
    """What the summary needs of one case."""

    rows: list[dict[str, Any]]
    unit: str
    dimensions: int
    diagonal: float
    pixels: int
    size: float | None
    properties: dict[str, float | None]
    objects: InstanceCounts | None
    ignored: int | None
    resampled: bool
    remarks: tuple[str, ...]


def run(cases: CaseFiles, options: EvaluationOptions) -> EvaluationResult:
    """Evaluate by the clinical protocol.

    Args:
        cases: the files.
        options: of the protocol.

    Returns:
        The rows, the summary, and functions to write them.

    Raises:
        FileNotFoundError, ValueError: as :func:`sa2_monai.evaluation.evaluate`.
    """
    loader = _loader(cases, options)
    warnings = pair(loader.predictions, cases.references, options.allow_missing)
    failures = Failures(options.on_error)
    if "quality" in options.properties and not cases.images:
        raise ValueError("strata 'quality' needs the images, which are not given (--images DIR)")
    measured = _measure_all(loader, cases, options, failures)
    rows = [row for values in measured.values() for row in values.rows]
    objects = [values.objects for values in measured.values() if values.objects is not None]
    bootstrap_of = partial(options.bootstrap, groups=cases.groups)
    bootstrap = bootstrap_of(list(measured))
    warnings += _warnings(measured, options)
    warnings += failures.warnings(len(cases.references))
    warnings += few_cases(bootstrap.units, "cases" if cases.groups is None else "groups")

    diagonals = {case: values.diagonal for case, values in measured.items()} if options.empty == "worst" else None
    metrics = (*METRICS, *options.extra)
    blocks = summarize(rows, list(measured), options.names, bootstrap, metrics, diagonals)
    warnings += _constant_predictions(rows, measured, blocks["per_class"])
    if options.size_limits:
        sizes = {case: values.size for case, values in measured.items() if values.size is not None}
        blocks["size_strata"] = summarize_strata(
            rows, sizes, options.size_limits, options.names, bootstrap_of, options.extra
        )
    properties = {case: values.properties for case, values in measured.items()} if options.properties else {}
    if properties:
        blocks["strata"] = summarize_properties(
            rows,
            properties,
            options.names,
            bootstrap_of,
            options.extra,
            dimensions=next(iter(measured.values())).dimensions,
            unit=next(iter(measured.values())).unit,
        )
        warnings += _undefined(blocks["strata"], options)
    if options.instances:
        blocks["instances"] = summarize_instances(objects, bootstrap)
    summary = summary_document(
        _protocol(measured, options, cases.groups),
        len(measured),
        {value: name for value, name in options.table.items() if value},
        blocks,
        failures.entries(loader.predictions, cases.references),
        warnings,
    )
    return EvaluationResult(rows, summary, loader.load, cases.images, cases.groups, objects, properties)


def _loader(cases: CaseFiles, options: EvaluationOptions) -> CaseLoader:
    """Files that hold the numbers of objects are read by what is not 0, as far as nothing else is said."""
    numbers = options.instances is not None
    return CaseLoader(
        cases.label_maps(options.prediction_suffix),
        cases.references,
        options.table,
        NONZERO if numbers and options.label_values is None else options.label_values,
        options.spacing,
        options.allow_resample,
        prediction_values=NONZERO if numbers and options.label_values != THRESHOLD else None,
        ignore_value=options.ignore_value,
    )


def _measure_all(
    loader: CaseLoader, cases: CaseFiles, options: EvaluationOptions, failures: Failures
) -> dict[str, _Measured]:
    """Measure every case that can be; all of them in one unit."""
    names = list(loader.references)
    measure = partial(_measure, loader, cases, options)
    values_of = share_cases(names, measure) if options.distributed else measure
    measured: dict[str, _Measured] = {}
    units: dict[str, str] = {}

    def add(case: str) -> None:
        values = values_of(case)
        found = {**units, values.unit: units.get(values.unit, case)}
        _check_unit(found, options.unit)
        units.update(found)
        measured[case] = values

    for case in names:
        failures.attempt(case, partial(add, case))
    failures.check_any_left(len(names))
    return measured


def _measure(loader: CaseLoader, cases: CaseFiles, options: EvaluationOptions, case: str) -> _Measured:
    item = loader.load(case)
    rows = case_rows(item, options.table, options.tolerances, options.extra)
    size = object_percent(item) if options.size_limits else None
    ignored = 0 if item.ignored is None else int(item.ignored.sum())
    for row in rows if options.size_limits else ():
        row[SIZE_COLUMN] = size
    return _Measured(
        rows=rows,
        unit=item.geometry.unit,
        dimensions=item.reference.ndim,
        diagonal=diagonal(item),
        pixels=item.reference.size - ignored,
        size=size,
        properties=_properties(item, cases, options) if options.properties else {},
        objects=count_instances(item, options.instances) if options.instances else None,
        ignored=None if item.ignored is None else ignored,
        resampled=item.resampled,
        remarks=item.remarks,
    )


def _properties(item: LoadedCase, cases: CaseFiles, options: EvaluationOptions) -> dict[str, float | None]:
    numbers = options.instances or ("auto" if options.label_values == NONZERO else None)
    image, objects = cases.images.get(item.case), cases.reference_objects.get(item.case)
    return measure_properties(item, image, options.properties, numbers, len(options.names), objects)


def _check_unit(units: Mapping[str, str], expected: str | None) -> None:
    """Check the units of the cases so far, each with the first case that has it."""
    if len(units) > 1:
        found = ", ".join(f"{unit} ({case})" for unit, case in units.items())
        raise ValueError(f"the references have different units: {found}; evaluate images and volumes apart")
    found, case = next(iter(units.items()))
    if expected is not None and found != expected:
        fix = "give their spacing" if expected == "mm" else "leave unit out to measure in millimetres"
        raise ValueError(f"case {case} is measured in {found}, but unit is {expected!r}; {fix}")


def _warnings(measured: Mapping[str, _Measured], options: EvaluationOptions) -> list[str]:
    """What is doubtful in the cases.

    Raises:
        ValueError: when the references hold nothing but background and ignored pixels.
    """
    found = []
    empty = [not any(row["voxels_ref"] for row in values.rows) for values in measured.values()]
    for (case, values), nothing in zip(measured.items(), empty, strict=True):
        if nothing:
            found.append(f"empty_reference: the reference of case {case} holds no object at all")
        if values.resampled:
            found.append(f"resampled: the prediction of case {case} was brought onto the grid of its reference")
    if all(empty):
        check_not_all_ignored(options.ignore_value, any(values.ignored is not None for values in measured.values()))
        found.append("no_reference_object: no reference holds any object; Dice is 0 for every false alarm, else open")
    return found + grouped((f"file: {remark}", case) for case, values in measured.items() for remark in values.remarks)


def _undefined(blocks: Mapping[str, Any], options: EvaluationOptions) -> list[str]:
    """Properties that some or all cases do not have."""
    wanted = {
        name: len(blocks[name]["undefined"]) if name in blocks else None for name in properties_of(options.properties)
    }
    return [
        f"strata: {name} is defined for no case"
        if cases is None
        else f"strata: {name} is not defined for {cases} cases"
        for name, cases in wanted.items()
        if cases != 0
    ]


def _constant_predictions(
    rows: Sequence[Mapping[str, Any]], measured: Mapping[str, _Measured], per_class: Mapping[str, Any]
) -> list[str]:
    of_class = {name: [row for row in rows if row["class_name"] == name] for name in per_class}
    seen = {name: found for name, found in of_class.items() if any(row["voxels_ref"] for row in found)}
    constant = {
        name: everything_marked_dice(
            [row["voxels_ref"] for row in found], [max(1, measured[row["case"]].pixels) for row in found]
        )
        for name, found in seen.items()
    }
    return constant_prediction_warnings(
        {name: per_class[name]["dice"]["mean"] for name in seen},
        constant,
        {name: sum(row["voxels_pred"] for row in found) for name, found in seen.items()},
    )


def _protocol(
    measured: Mapping[str, _Measured], options: EvaluationOptions, groups: Mapping[str, str] | None
) -> dict[str, Any]:
    """The block that tells apart summaries that must not be compared."""
    block: dict[str, Any] = {
        "name": "clinical",
        "version": VERSION,
        "hd95": "directed-maximum",
        "unit": next(iter(measured.values())).unit,
        "tolerance": options.tolerances,
        "empty": options.empty,
        "bootstrap": options.draws(groups),
    }
    if options.extra:
        block["extra_metrics"] = list(options.extra)
    if options.size_limits:
        block["size_strata"] = list(options.size_limits)
    if options.properties:
        block["strata"] = list(options.properties)
    if options.ignore_value is not None:
        block["ignore_value"] = options.ignore_value
        block["ignored_pixels"] = {c: values.ignored for c, values in measured.items() if values.ignored is not None}
    return block
