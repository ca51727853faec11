# SPDX-License-Identifier: Apache-2.0
"""The evaluation of a set of predictions against references, by one of the two protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sa2_monai.evaluation import clinical
from sa2_monai.evaluation.cases.classes import check_ignore_value, check_not_all_ignored, class_table, value_table
from sa2_monai.evaluation.cases.failures import Failures
from sa2_monai.evaluation.cases.loading import CaseLoader
from sa2_monai.evaluation.cases.pairing import collect, collect_images, pair
from sa2_monai.evaluation.cases.processes import share_cases
from sa2_monai.evaluation.paper import FAMILIES, PaperOptions, evaluate_paper
from sa2_monai.evaluation.paper.base import paper_options
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.extra_metrics import check_extra_metrics
from sa2_monai.evaluation.scores.instances import InstanceCounts, check_instances, count_instances, summarize_instances
from sa2_monai.evaluation.scores.rows import METRICS
from sa2_monai.evaluation.scores.size_strata import SIZE_COLUMN, check_size_strata, object_percent, summarize_strata
from sa2_monai.evaluation.scores.statistics import Bootstrap
from sa2_monai.evaluation.scores.summary import NOTICE, few_cases, software, summarize
from sa2_monai.io.label_values import NONZERO, THRESHOLD
from sa2_monai.io.names import same_forms
from sa2_monai.io.problems import grouped

__all__ = ["evaluate"]


@dataclass(frozen=True)
class _CaseValues:
    """What the clinical summary needs of one case."""

    rows: list[dict[str, Any]]
    unit: str
    diagonal: float
    size: float | None
    objects: InstanceCounts | None
    ignored: int | None
    resampled: bool
    remarks: tuple[str, ...]


def evaluate(
    predictions: Any,
    references: Any,
    classes: Sequence[str] | Mapping[int, str],
    protocol: str = "clinical",
    *,
    family: str | None = None,
    unit: str | None = None,
    tolerance: float | Mapping[str, float] = 2.0,
    empty: str | None = None,
    bootstrap_samples: int = 2000,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
    label_values: Mapping[int, int] | str | None = None,
    spacing: Sequence[float] | None = None,
    allow_missing: bool = True,
    allow_resample: bool = False,
    prediction_suffix: str = "",
    reference_suffix: str = "",
    images: Any = None,
    paper: PaperOptions | Mapping[str, Any] | None = None,
    instances: str | None = None,
    extra_metrics: Sequence[str] | str | None = None,
    size_strata: Sequence[float] | bool | None = None,
    ignore_value: int | None = None,
    on_error: str = "raise",
    distributed: bool = False,
) -> EvaluationResult:
    """Measure predictions against references.

    Args:
        predictions: a folder, a list of files, or a mapping from case to path or array. Values are class values (two
            classes: 255 is taken for 1 as well). For ``family="image_ensemble"`` also a list of folders or mappings,
            one per model, with probability maps.
        references: a folder, a list of files, or a mapping; these are the cases of the split. Pictures and arrays count
            pixels; NIfTI, NRRD and MHA/MHD bring their geometry.
        classes: names with the background first, or a mapping from value to name.
        protocol: ``"clinical"`` or ``"paper"``.
        family: family of the paper protocol: ``image``, ``image_ensemble``, ``pooled``, ``cell``, ``volume``,
            ``image_2d`` or ``size_range``.
        unit: ``"mm"`` or ``"px"`` that the files are expected to have; ``None`` takes what they have.
        tolerance: of the normalised surface distance, in the unit; one number or numbers by class name. The paper
            families do not use it.
        empty: ``"worst"`` adds the means in which a missing structure has the worst value (``<metric>_worst``).
        bootstrap_samples: draws of the confidence interval.
        seed: seed of the draws.
        groups: case -> group (the patient), where groups are drawn instead of cases.
        label_values: table ``value in a reference -> class value``; ``"nonzero"`` where every value above 0 is the one
            foreground class; ``"threshold"`` where every value above 127 is, in the predictions, too (masks in JPEG
            files); ``None`` for the class values themselves (two classes of pictures: 255 instead of 1 as well).
        spacing: millimetres per axis of pictures and arrays, where it is known.
        allow_missing: count a case without a prediction as missed (with a warning) instead of refusing.
        allow_resample: bring a prediction of another grid onto that of the reference by nearest neighbour.
        prediction_suffix: ending of the prediction files' names that is not part of the case, e.g. ``"_seg"``.
        reference_suffix: the same for the references, e.g. ``"_anno"``.
        images: folder, list or mapping of the images, kept for the overlay pictures.
        paper: options of the paper protocol, see :class:`sa2_monai.evaluation.PaperOptions`.
        instances: also measure detection and panoptic quality of single objects (one class): ``"numbers"`` where every
            value above 0 is the number of an object, ``"components"`` where what is connected is an object, ``"auto"``
            decides for every file (a mask of 0 and 1, or 0 and 255, holds no numbers).
        extra_metrics: further columns of the clinical protocol: ``f2``, ``mean_absolute_error`` (share of pixels that
            differ), ``e_measure`` and ``s_measure`` (pictures), ``thresholded_jaccard`` (0 below 0.65: its mean over
            images is the official score of ISIC 2018), ``cldice`` (centre-line Dice of vessels; needs scikit-image).
            Each takes one class against everything else; a class in neither map has none.
        size_strata: pictures of the clinical protocol: also summarise the cases whose largest object is below 0.5, 1,
            2, 3, 5, 10 and 100 % of the image (``True``; the limits of SvANet, cumulative), or below given percents.
            An object is an 8-connected component of one class, its size the number of its pixels.
        ignore_value: value in the reference files whose pixels count nowhere, e.g. 255. They become background in both
            maps before anything else, and are no true negatives. So an object ends where ignored pixels begin, in both
            maps alike; surface distances see that border as a part of both surfaces. ``None``: an unknown value is an
            error. Of the paper families only ``size_range`` takes it, where it replaces the one of ``paper``.
        on_error: ``"raise"``, or ``"continue"`` to list a case that cannot be read or does not fit under ``failed`` in
            the summary and to measure the others.
        distributed: for calls by all processes of ``torch.distributed``, with the same arguments: each measures a part
            of the cases, and every one gets the whole result, the same as that of a single process. The families of
            the paper protocol are measured by each process on its own.

    Returns:
        The rows, the summary, and functions to write them.

    Raises:
        FileNotFoundError: when a folder or a reference does not exist.
        ImportError: for ``cldice`` without scikit-image.
        ValueError: for unknown options, files that cannot be read, values outside the classes, grids that differ, two
            files for one case, or no pair at all. The message names the file, what was found and what was expected.
            With ``on_error="continue"`` errors of single cases are raised only when all cases fail.
    """
    table = class_table(classes)
    names = [name for value, name in table.items() if value]
    _check_options(protocol, family, unit, empty, paper)
    if protocol == "paper" and (unit == "mm" or spacing is not None or allow_resample):
        raise ValueError(
            "unit, spacing and resampling belong to the clinical protocol; the paper families count pixels"
        )
    value_table(label_values, table, lenient=False)  # a wrong table is an error before any file is read
    tolerances = clinical.tolerance_table(tolerance, names)
    failures = Failures(on_error)
    instance_kind = check_instances(instances, protocol, table)
    extra = check_extra_metrics(extra_metrics, protocol)
    strata = check_size_strata(size_strata, protocol)
    check_ignore_value(ignore_value, table, label_values)
    reference_files = collect(references, "reference", reference_suffix)
    image_files = {} if images is None else collect_images(images, reference_files)
    group_of = None if groups is None else {str(case): str(group) for case, group in groups.items()}

    def bootstrap_of(cases: Sequence[str]) -> Bootstrap:
        return Bootstrap(cases, group_of, bootstrap_samples, seed)

    bootstrap_of(list(reference_files))  # wrong options are an error before any file is read
    draws = {"samples": bootstrap_samples, "seed": seed, "unit": "case" if group_of is None else "group"}

    if protocol == "paper":
        assert family is not None
        options = paper_options(paper, family)
        if ignore_value is not None and family != "size_range":
            raise ValueError(
                f"ignore_value belongs to the clinical protocol and the family 'size_range', not to {family!r}"
            )
        result = evaluate_paper(
            family,
            predictions,
            reference_files,
            table,
            options,
            bootstrap_of,
            label_values=label_values,
            allow_missing=allow_missing,
            prediction_suffix=prediction_suffix,
            images=image_files,
            ignore_value=ignore_value,
            failures=failures,
        )
        result.summary["protocol"]["bootstrap"] = draws
        result.images, result.groups = image_files, group_of
        return result

    prediction_files = same_forms(collect(predictions, "prediction", prediction_suffix), reference_files)
    warnings = pair(prediction_files, reference_files, allow_missing)
    loader = CaseLoader(
        prediction_files,
        reference_files,
        table,
        NONZERO if instance_kind and label_values is None else label_values,
        spacing,
        allow_resample,
        prediction_values=NONZERO if instance_kind and label_values != THRESHOLD else None,
        ignore_value=ignore_value,
    )
    rows: list[dict[str, Any]] = []
    objects: list[InstanceCounts] = []
    diagonals: dict[str, float] = {}
    sizes: dict[str, float] = {}
    ignored: dict[str, int] = {}
    units: dict[str, str] = {}
    remarks: list[tuple[str, str]] = []

    def measure(case: str) -> _CaseValues:
        item = loader.load(case)
        found = clinical.case_rows(item, table, tolerances, extra)
        size = object_percent(item) if strata else None
        for row in found if strata else ():
            row[SIZE_COLUMN] = size
        return _CaseValues(
            rows=found,
            unit=item.geometry.unit,
            diagonal=clinical.diagonal(item),
            size=size,
            objects=count_instances(item, instance_kind) if instance_kind else None,
            ignored=None if item.ignored is None else int(item.ignored.sum()),
            resampled=item.resampled,
            remarks=item.remarks,
        )

    values_of = share_cases(list(reference_files), measure) if distributed else measure

    def add(case: str) -> None:
        values = values_of(case)
        _check_unit({**units, values.unit: units.get(values.unit, case)}, unit)
        units.setdefault(values.unit, case)
        if values.size is not None:
            sizes[case] = values.size
        if values.objects is not None:
            objects.append(values.objects)
        if not any(row["voxels_ref"] for row in values.rows):
            warnings.append(f"empty_reference: the reference of case {case} holds no object at all")
        if values.resampled:
            warnings.append(f"resampled: the prediction of case {case} was brought onto the grid of its reference")
        remarks.extend((f"file: {remark}", case) for remark in values.remarks)
        rows.extend(values.rows)
        diagonals[case] = values.diagonal
        if values.ignored is not None:
            ignored[case] = values.ignored

    for case in reference_files:
        failures.attempt(case, partial(add, case))
    failures.check_any_left(len(reference_files))
    cases = list(diagonals)
    bootstrap = bootstrap_of(cases)
    if not any(row["voxels_ref"] for row in rows):
        check_not_all_ignored(ignore_value, bool(ignored))
        warnings.append(
            "no_reference_object: no reference holds any object; Dice is 0 for every false alarm, else open"
        )
    warnings += grouped(remarks)
    warnings += failures.warnings(len(reference_files))
    warnings += few_cases(bootstrap.units, "cases" if group_of is None else "groups")
    summary = {
        "protocol": {
            "name": "clinical",
            "version": clinical.VERSION,
            "hd95": "directed-maximum",
            "unit": next(iter(units)),
            "tolerance": tolerances,
            "empty": empty,
            "bootstrap": draws,
            **({"extra_metrics": list(extra)} if extra else {}),
            **({"size_strata": list(strata)} if strata else {}),
            **({"ignore_value": ignore_value, "ignored_pixels": ignored} if ignore_value is not None else {}),
        },
        "software": software(),
        "cases": len(cases),
        "classes": {str(value): name for value, name in table.items() if value},
        **summarize(rows, cases, names, bootstrap, (*METRICS, *extra), diagonals if empty == "worst" else None),
        **({"size_strata": summarize_strata(rows, sizes, strata, names, bootstrap_of, extra)} if strata else {}),
        **({"instances": summarize_instances(objects, bootstrap)} if instance_kind else {}),
        "failed": failures.entries(prediction_files, reference_files),
        "warnings": warnings,
        "notice": NOTICE,
    }
    return EvaluationResult(rows, summary, loader.load, image_files, group_of, objects)


def _check_options(protocol: str, family: str | None, unit: str | None, empty: str | None, paper: Any) -> None:
    if protocol not in ("clinical", "paper"):
        raise ValueError(f"protocol is {protocol!r}, expected 'clinical' or 'paper'")
    if protocol == "clinical" and (family is not None or paper is not None):
        raise ValueError("family and paper options belong to protocol='paper'; the clinical protocol has none")
    if protocol == "paper" and family not in FAMILIES:
        raise ValueError(f"family is {family!r}, expected one of {', '.join(FAMILIES)} with protocol='paper'")
    if unit not in (None, "mm", "px"):
        raise ValueError(f"unit is {unit!r}, expected 'mm', 'px' or None")
    if empty not in (None, "worst"):
        raise ValueError(f"empty is {empty!r}, expected None or 'worst'")
    if protocol == "paper" and empty is not None:
        raise ValueError("empty='worst' belongs to the clinical protocol; the paper families have their own stand-ins")


def _check_unit(units: Mapping[str, str], expected: str | None) -> None:
    if len(units) > 1:
        found = ", ".join(f"{unit} ({case})" for unit, case in units.items())
        raise ValueError(f"the references have different units: {found}; evaluate pictures and volumes apart")
    found, case = next(iter(units.items()))
    if expected is not None and found != expected:
        cure = "give their spacing" if expected == "mm" else "leave unit out to measure in millimetres"
        raise ValueError(f"case {case} is measured in {found}, but unit is {expected!r}; {cure}")
