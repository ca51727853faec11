# SPDX-License-Identifier: Apache-2.0
"""The data sets by name: how each lists its cases, how the files are checked, which classes its labels have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.checks.label_tables import label_table, without_ignored
from sa2_monai.data.dataset import DataSet, ListOptions
from sa2_monai.data.datasets import DATASETS
from sa2_monai.data.layouts.discovery.contents import class_facts, description_of
from sa2_monai.io.kinds import KINDS, kind_of
from sa2_monai.io.label_values import LabelTable
from sa2_monai.io.paths import existing_path

__all__ = ["check_kind", "dataset_classes", "unknown_dataset"]

_TWO_CLASSES = ("background", "foreground")


def dataset_classes(
    dataset_dir: str | os.PathLike[str], dataset: str = "volumes", class_names: Sequence[str] | None = None
) -> tuple[list[str], LabelTable]:
    """Classes and label table that a data set has by itself.

    Args:
        dataset_dir: folder of the data set (or a ``dataset.json``, whose ``labels`` name the classes in the order of
            their values, in the decathlon's form value -> name or nnU-Net's name -> value; without one, a table of
            colours in the folder does, or the values of the labels number the classes).
        dataset: a name of :data:`DATASETS`.
        class_names: names given by the user; then only the table is looked up.

    Returns:
        Names, background first, and the table value in the file -> class (or ``"nonzero"``), see :func:`label_table`.

    Raises:
        ValueError: unknown data set, or ``labels`` that are no such table.
    """
    if dataset not in DATASETS:
        raise ValueError(unknown_dataset(dataset))
    entry = DATASETS[dataset]
    if class_names is not None:
        fits = entry.classes is None or len(class_names) == len(entry.classes)
        table = label_table(entry.label_values if fits else None, class_names)
        return list(class_names), without_ignored(table, entry.ignore_value)
    if entry.classes is not None:
        return list(entry.classes), without_ignored(label_table(entry.label_values, entry.classes), entry.ignore_value)
    names, values = _own_classes(existing_path(dataset_dir), entry) if entry.described else (None, entry.label_values)
    names = names or list(_TWO_CLASSES)
    return names, without_ignored(label_table(values, names), entry.ignore_value)


def _own_classes(directory: Path, entry: DataSet) -> tuple[list[str] | None, Mapping[Any, int] | str | None]:
    """What a data set of one's own says of its classes; nothing where it cannot be read, which others will say."""
    try:
        parts = {} if description_of(directory).is_file() else entry.parts(directory, ListOptions(unlabelled=True))
    except (OSError, ValueError):
        return None, entry.label_values
    facts = class_facts(directory, parts, entry.files)
    if facts.names is None and facts.classes is not None:
        return ["background", *(f"class {value}" for value in range(1, facts.classes))], None
    return facts.names, facts.table


def unknown_dataset(name: str) -> str:
    """Message for a data set that is not there.

    Args:
        name: what was asked for.
    """
    of_kind = {kind: sorted(n for n, d in DATASETS.items() if d.files == kind) for kind in KINDS}
    listed = "; ".join(f"{', '.join(names)} ({kind})" for kind, names in of_kind.items())
    return f"dataset is {name!r}, expected one of {listed}"


def check_kind(dataset: str, kind: str | None) -> None:
    """Check that a data set consists of the kind of files that a configuration reads.

    Args:
        dataset: a name of :data:`DATASETS`.
        kind: ``"images"``, ``"volumes"`` or ``"preprocessed"``; ``None`` does not check.

    Raises:
        ValueError: the data set has files of another kind.
    """
    files = DATASETS[dataset].files
    if kind is not None and kind_of(kind) != files:
        raise ValueError(f"kind is {kind!r}, but {dataset!r} consists of {files}; set kind: {files}, or another layout")
