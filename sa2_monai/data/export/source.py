# SPDX-License-Identifier: Apache-2.0
"""What is exported: the cases by part as a training would see them, the classes, and the table of the label values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sa2_monai.data.checks.label_tables import label_table, without_ignored
from sa2_monai.data.datalist import load_parts
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.discovery.find import find_data
from sa2_monai.data.layouts.discovery.found import FoundData
from sa2_monai.data.registry import dataset_classes
from sa2_monai.io.label_values import LabelTable

__all__ = ["ExportOptions", "Source", "find_source"]


@dataclass(frozen=True)
class ExportOptions:
    """What a data set may not say itself, and how it is split; see :func:`sa2_monai.data.load_datalist`.

    Args:
        dataset: name in the registry; ``None`` finds it out.
        colours: table colour -> class.
        class_names: background first.
        label_values: value in the file -> class.
        ignore_value: value of pixels without a label.
        num_folds: number of folds, of the training part.
        split_seed: seed of the folds and of a test part that is not listed.
        test_fraction: share held out as test part where none is listed.
        patient_pattern: finds the patient in a case name.
        split: published split.
    """

    dataset: str | None = None
    colours: str | os.PathLike[str] | None = None
    class_names: Sequence[str] | None = None
    label_values: Mapping[Any, int] | str | None = None
    ignore_value: int | None = None
    num_folds: int = 5
    split_seed: int = 999
    test_fraction: float = 0.2
    patient_pattern: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        found: what the data are.
        parts: training, validation and test part.
        folds: names of the training and of the validation cases, by fold; one where the data list a validation part.
        class_names: background first.
        table: value in the label files -> class.
        ignore_value: value of pixels without a label.
    """

    found: FoundData
    parts: Parts
    folds: list[tuple[list[str], list[str]]]
    class_names: list[str]
    table: LabelTable
    ignore_value: int | None


def find_source(data: str | os.PathLike[str], options: ExportOptions) -> Source:
    """Cases, folds and classes of the data.

    Args:
        data: folder, ``dataset.json`` or CSV of pairs.
        options: see there.

    Raises:
        ValueError: see :func:`~sa2_monai.data.find_data` and :func:`~sa2_monai.data.load_parts`; preprocessed files,
            which have no geometry.
    """
    found = find_data(data, options.dataset, colours=options.colours)
    if found.kind == "preprocessed":
        raise ValueError(f"{data}: holds preprocessed files; export the data as downloaded")
    shared: dict[str, Any] = {
        "num_folds": options.num_folds,
        "split_seed": options.split_seed,
        "test_fraction": options.test_fraction,
        "patient_pattern": options.patient_pattern,
        "split": options.split,
    }
    parts = load_parts(found.path, found.dataset, None, **shared)
    if found.parts.get("validation"):
        folds = [parts]
    else:  # as many as the cases allow; fewer where they are few
        folds = []
        for fold in range(options.num_folds):
            try:
                folds.append(load_parts(found.path, found.dataset, fold, **shared))
            except ValueError:
                folds = [parts]
                break
    names, table = _classes(found, options)
    ignore = found.ignore_value if options.ignore_value is None else options.ignore_value
    return Source(
        found,
        parts,
        [(_names(of["training"]), _names(of["validation"])) for of in folds],
        names,
        without_ignored(table, ignore),
        ignore,
    )


def _classes(found: FoundData, options: ExportOptions) -> tuple[list[str], LabelTable]:
    names = options.class_names or found.class_names
    values = found.label_values if options.label_values is None else options.label_values
    if names is None:
        names, table = dataset_classes(found.path, found.dataset)
        return names, table if values is None else label_table(values, names)
    return list(names), label_table(values, names)


def _names(cases: Sequence[Case]) -> list[str]:
    return sorted(str(case["case"]) for case in cases)
