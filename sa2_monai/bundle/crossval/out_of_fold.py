# SPDX-License-Identifier: Apache-2.0
"""Every case of the folds scored once, by the model that has not seen it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.crossval.commands import report_id
from sa2_monai.bundle.crossval.setup import OUT_OF_FOLD, CrossvalSetup, evaluation_files
from sa2_monai.bundle.locate import load
from sa2_monai.evaluation import EvaluationOptions, EvaluationResult, evaluate
from sa2_monai.evaluation.cases.loading import CaseLoader
from sa2_monai.evaluation.read import read_result
from sa2_monai.evaluation.report.files import save_report
from sa2_monai.evaluation.scores.rows import csv_table
from sa2_monai.io.atomic import write_atomically, write_json
from sa2_monai.io.names import file_name

__all__ = ["SELECTED", "fold_means", "read_out_of_fold", "score_out_of_fold"]

#: In the folder ``out_of_fold``: the cases with their files and folds, and how labels are read; means of patients.
CASES, PATIENTS = "cases.json", "metrics_per_patient.csv"
#: Begins the warning of models that were chosen by the cases they are scored on.
SELECTED = "selected_by_these_cases"
_OPTIONS = ("class_names", "label_values", "ignore_value", "tolerance", "size_strata", "extra_metrics")


def score_out_of_fold(setup: CrossvalSetup, held_out: Sequence[Sequence[Mapping[str, Any]]]) -> EvaluationResult:
    """Score the predictions of all folds together by the clinical protocol, and write tables and report.

    The cases are those that the folds have held out, each once. Where their patients are known, the intervals draw
    patients.

    Args:
        setup: of the cross-validation.
        held_out: for each fold the data list of its validation part.

    Returns:
        The result; its rows have the column ``fold``.

    Raises:
        OSError, ValueError: as :func:`sa2_monai.evaluation.evaluate`.
    """
    folder = setup.out_of_fold
    cases = [{**case, "fold": fold} for fold, cases in enumerate(held_out) for case in cases]
    options = _report_options(setup)
    description: dict[str, Any] = {
        "classes": list(options.pop("class_names")),
        "options": {**options, "label_values": _as_pairs(options["label_values"])},
        "cases": [_entry(case, setup.suffix) for case in sorted(cases, key=lambda case: str(case["case"]))],
    }
    loader = _loader(folder, description)
    groups = _groups(description["cases"])
    result = evaluate(
        loader.predictions,
        loader.references,
        images={entry["case"]: entry["image"] for entry in description["cases"]},
        groups=groups,
        options=EvaluationOptions(description["classes"], on_error="continue", **options),
    )
    fold_of = {entry["case"]: entry["fold"] for entry in description["cases"]}
    for row in result.per_case:
        row["fold"] = fold_of[row["case"]]
    if load(setup.fold(0) / "configs" / "train.json").get("select", "best") != "last":
        result.summary["warnings"].append(
            f"{SELECTED}: the epoch of each model was chosen by the very cases that it is scored on here, so these "
            "scores are optimistic; select=last trains without a choice"
        )
    result.summary["out_of_fold"] = {"folds": len(held_out), "dice_of_folds": fold_means(result, "dice")}
    save_report(result, folder)
    if groups is not None:
        write_atomically(folder / PATIENTS, _patient_table(result, groups))
    write_json(folder / CASES, description)
    return result


def read_out_of_fold(directory: str | os.PathLike[str]) -> EvaluationResult:
    """The out-of-fold scores of a finished cross-validation.

    Args:
        directory: folder of the cross-validation.

    Returns:
        The result as it was written; its rows have the column ``fold``.

    Raises:
        FileNotFoundError: there are none, or not yet.
    """
    folder = Path(directory) / OUT_OF_FOLD
    file = folder / CASES
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; 'sa2-monai crossval' writes it when all folds are through")
    description = json.loads(file.read_text(encoding="utf-8"))
    images = {entry["case"]: entry["image"] for entry in description["cases"]}
    return read_result(folder, _loader(folder, description).load, images, _groups(description["cases"]))


def fold_means(result: EvaluationResult, metric: str) -> list[float | None]:
    """Mean over classes of the means over the cases of each fold; ``None`` where nothing is defined.

    Args:
        result: whose rows have the column ``fold``.
        metric: name of a column.
    """
    means: list[float | None] = []
    for fold in sorted({row["fold"] for row in result.per_case}):
        by_class: dict[int, list[float]] = {}
        for row in result.per_case:
            if row["fold"] == fold and row[metric] == row[metric]:  # not NaN
                by_class.setdefault(row["class_value"], []).append(row[metric])
        of_classes = [sum(values) / len(values) for values in by_class.values()]
        means.append(sum(of_classes) / len(of_classes) if of_classes else None)
    return means


def _report_options(setup: CrossvalSetup) -> dict[str, Any]:
    """The options of the report that the run's own evaluation has, resolved as it resolves them."""
    files = evaluation_files(setup.fold(0), False, False)
    report = setup.out_of_fold_evaluation(report_id(files), files)
    return {name: report.get(name) for name in _OPTIONS if name in report or name in ("class_names", "label_values")}


def _entry(case: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    name = str(case["case"])
    files = {key: case[key] for key in ("image", "label", "group", "fold") if key in case}
    return {"case": name, "prediction": f"predictions/{file_name(name, suffix)}", **files}


def _loader(folder: Path, description: Mapping[str, Any]) -> CaseLoader:
    cases, options = description["cases"], description["options"]
    return CaseLoader(
        {entry["case"]: folder / entry["prediction"] for entry in cases},
        {entry["case"]: Path(entry["label"]) for entry in cases},
        dict(enumerate(description["classes"])),
        _of_pairs(options["label_values"]),
        ignore_value=options.get("ignore_value"),
    )


def _groups(cases: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """Patient of each case, where that of all is known and any has several."""
    groups = {entry["case"]: str(entry["group"]) for entry in cases if entry.get("group") is not None}
    return groups if len(groups) == len(cases) and len(set(groups.values())) < len(cases) else None


def _patient_table(result: EvaluationResult, groups: Mapping[str, str]) -> str:
    """CSV text: for each patient and class the mean Dice and IoU of its cases, empty where undefined."""
    rows = []
    for patient in sorted(set(groups.values())):
        for name in dict.fromkeys(row["class_name"] for row in result.per_case):
            own = [row for row in result.per_case if groups[row["case"]] == patient and row["class_name"] == name]
            line: dict[str, Any] = {"patient": patient, "class_name": name, "cases": len(own)}
            for metric in ("dice", "jaccard"):
                values = [row[metric] for row in own if row[metric] == row[metric]]
                line[metric] = sum(values) / len(values) if values else float("nan")
            rows.append(line)
    return csv_table(["patient", "class_name", "cases", "dice", "jaccard"], rows)


def _as_pairs(table: Any) -> Any:
    """A table value -> class as JSON has it, whose keys would become texts."""
    return [[key, value] for key, value in table.items()] if isinstance(table, Mapping) else table


def _of_pairs(table: Any) -> Any:
    return dict(table) if isinstance(table, list) else table
