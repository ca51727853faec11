# SPDX-License-Identifier: Apache-2.0
"""The data sets by name: how each lists its cases, how the files are checked, which classes its labels have."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.data import acdc, glas, monuseg, synapse
from sa2_monai.data.acdc_archives import acdc_archive_parts, acdc_ssl4mis_parts
from sa2_monai.data.archive_check import check_archives
from sa2_monai.data.check import LabelTable, check_cases, label_names, label_table
from sa2_monai.data.folders import Case, Parts, decathlon_parts, folder_parts, read_dataset_json
from sa2_monai.data.label_counts import KindCheck
from sa2_monai.data.synapse_labels import SYNAPSE_CLASSES, SYNAPSE_TABLES, check_numbering
from sa2_monai.data.volume_check import check_volumes
from sa2_monai.data.volume_parts import volume_parts

__all__ = ["DATASETS", "DataSet", "ListOptions", "dataset_classes"]

_TWO_CLASSES = ("background", "foreground")


@dataclass(frozen=True)
class ListOptions:
    """Options of the functions that list cases.

    Args:
        cache_dir: where converted files are kept; ``None`` is a folder in the data set.
        split: name of a published split, where the data set has several.
    """

    cache_dir: Path | None = None
    split: str | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set or a layout of folders.

    Args:
        parts: function of (directory, options) that lists the cases by part.
        files: ``"pictures"``, ``"volumes"`` or ``"archives"``: how the files are checked.
        described: whether a ``dataset.json`` may describe it, its ``labels`` included.
        classes: names of the classes, background first; ``None`` where they are the user's.
        label_values: table of the label files where ``label_values`` is not given; ``None`` is the common default.
        splits: whether :attr:`ListOptions.split` means something.
        kind_check: further check of the label values of all cases.
    """

    parts: Callable[[Path, ListOptions], Parts]
    files: str = "pictures"
    described: bool = False
    classes: Sequence[str] | None = None
    label_values: Mapping[int, int] | str | None = None
    splits: bool = False
    kind_check: KindCheck | None = None

    def check(
        self, where: str, cases: Sequence[Case], table: LabelTable, in_channels: int | None, read_labels: bool
    ) -> None:
        """Check the files of a data list; every problem is reported in one error.

        Args:
            where: folder named in the message.
            cases: data list.
            table: see :func:`label_table`.
            in_channels: channels of the images; ``None`` does not check.
            read_labels: whether the values of label volumes are read; pictures are always read.

        Raises:
            ValueError: unreadable or unfit files.
        """
        if self.files == "pictures":
            check_cases(where, cases, table, in_channels)
        elif self.files == "volumes":
            check_volumes(where, cases, table, in_channels, read_labels, self.kind_check)
        else:
            check_archives(where, cases, table, read_labels, self.kind_check)


_SYNAPSE: dict[str, Any] = {"classes": SYNAPSE_CLASSES, "kind_check": check_numbering}

#: Data sets by name.
DATASETS: dict[str, DataSet] = {
    "folder": DataSet(lambda directory, options: folder_parts(directory), described=True),
    "decathlon": DataSet(lambda directory, options: decathlon_parts(directory), described=True),
    # Instance numbers: every value but 0 is foreground.
    "monuseg": DataSet(lambda d, options: monuseg.monuseg_parts(d, options.cache_dir), label_values="nonzero"),
    "glas": DataSet(lambda directory, options: glas.glas_parts(directory), label_values="nonzero"),
    "volumes": DataSet(lambda directory, options: volume_parts(directory), "volumes", described=True),
    "synapse": DataSet(
        lambda directory, options: synapse.synapse_parts(directory),
        "volumes",
        label_values=SYNAPSE_TABLES["raw"],
        **_SYNAPSE,
    ),
    "synapse_archive": DataSet(
        lambda directory, options: synapse.synapse_archive_parts(directory),
        "archives",
        label_values=SYNAPSE_TABLES["transunet"],
        **_SYNAPSE,
    ),
    "acdc": DataSet(
        lambda directory, options: acdc.acdc_parts(directory, options.split),
        "volumes",
        classes=acdc.ACDC_CLASSES,
        splits=True,
    ),
    "acdc_archive": DataSet(
        lambda directory, options: acdc_archive_parts(directory), "archives", classes=acdc.ACDC_CLASSES
    ),
    "acdc_ssl4mis": DataSet(
        lambda directory, options: acdc_ssl4mis_parts(directory), "archives", classes=acdc.ACDC_CLASSES
    ),
}


def dataset_classes(
    dataset_dir: str | os.PathLike[str], dataset: str = "volumes", class_names: Sequence[str] | None = None
) -> tuple[list[str], LabelTable]:
    """Classes and label table that a data set has by itself.

    Args:
        dataset_dir: folder of the data set (or a ``dataset.json``, whose ``labels`` name the classes in the order of
            their values, in the decathlon's form value -> name or nnU-Net's name -> value).
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
        return list(class_names), label_table(entry.label_values if fits else None, class_names)
    if entry.classes is not None:
        return list(entry.classes), label_table(entry.label_values, entry.classes)
    directory = Path(dataset_dir)
    description = directory if directory.suffix == ".json" else directory / "dataset.json"
    if entry.files == "volumes" and description.is_file():
        labels = read_dataset_json(description).get("labels")
        if isinstance(labels, Mapping) and labels:
            return _named_classes(description, labels)
    return list(_TWO_CLASSES), label_table(entry.label_values, _TWO_CLASSES)


def unknown_dataset(name: str) -> str:
    """Message for a data set that is not there.

    Args:
        name: what was asked for.
    """
    of_kind = {
        kind: sorted(n for n, d in DATASETS.items() if (d.files == "pictures") == (kind == "pictures"))
        for kind in ("pictures", "volumes")
    }
    return (
        f"dataset is {name!r}, expected one of {', '.join(of_kind['pictures'])} (pictures) or "
        f"{', '.join(of_kind['volumes'])} (volumes)"
    )


def _named_classes(path: Path, labels: Mapping[str, Any]) -> tuple[list[str], LabelTable]:
    entries = sorted(label_names(path, labels))
    if any(name.lower() == "ignore" for _, name in entries):
        raise ValueError(
            f"{path}: 'labels' has the value 'ignore', which no loss here leaves out; give class_names and "
            "label_values, with a class for every value"
        )
    if entries[0][0] != 0:
        raise ValueError(f"{path}: 'labels' has no value 0; expected the background, value 0, and the classes")
    if len(entries) < 2:
        raise ValueError(f"{path}: 'labels' names the background only; add the classes, or give class_names")
    names = [name for _, name in entries]
    return names, label_table({value: index for index, (value, _) in enumerate(entries)}, names)
