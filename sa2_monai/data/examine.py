# SPDX-License-Identifier: Apache-2.0
"""Look at a data set as a whole: how many cases, of which sizes, with which label values, and what is wrong."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.checks.file_contents import measure_files, unreadable_files
from sa2_monai.data.checks.label_tables import label_table
from sa2_monai.data.checks.opened_files import OpenedFiles
from sa2_monai.data.checks.remembered import RememberedFacts
from sa2_monai.data.checks.voxels import look_into_images
from sa2_monai.data.dataset import DataSet, Job, ListOptions
from sa2_monai.data.datasets import DATASETS
from sa2_monai.data.layouts.cases import Case, Parts, files_of
from sa2_monai.data.layouts.folder_walk import LeftOut, unused_files
from sa2_monai.data.layouts.patients import PATIENT_TABLE
from sa2_monai.data.published_counts import collected_messages, compare_counts
from sa2_monai.data.registry import dataset_classes, unknown_dataset
from sa2_monai.data.splits import check_disjoint
from sa2_monai.io.label_colours import colour_name
from sa2_monai.io.problems import listing

__all__ = ["examine_dataset"]

_PARTS = ("training", "validation", "test")
_LISTS = ("classes", "parts", "published", "sizes", "label_values", "deviations", "remarks", "problems")


def examine_dataset(
    name: str,
    directory: str | os.PathLike[str],
    split: str | None = None,
    class_names: Sequence[str] | None = None,
    label_values: Mapping[Any, int] | str | None = None,
    ignore_value: int | None = None,
    listed: Parts | None = None,
    remember: bool = True,
) -> dict[str, Any]:
    """Compare a folder with the data set that it should hold; every file is opened, unlabelled images too.

    Of a data set that can be read only after a preparation, the files for that are looked at.

    Args:
        name: a name of :data:`~sa2_monai.data.DATASETS`.
        directory: the data set's folder.
        split: published split, where the data set has several.
        class_names: see :func:`~sa2_monai.data.load_datalist`.
        label_values: see there.
        ignore_value: see there.
        listed: the cases, where the folder alone does not say them.
        remember: open no file that an earlier check has opened and that has not changed since.

    Returns:
        ``dataset``, ``directory``, ``split``, ``files``; ``classes``; ``parts``: by part the numbers ``cases``,
        ``labelled`` and ``groups`` (``None`` where unknown); ``published``: numbers that were compared, each with
        ``part``, ``found``, ``expected`` (text) and ``ok``; ``sizes``: for images of each number of axes the
        ``smallest`` and ``largest`` length of each axis; ``label_values``: share of the pixels or voxels by value in
        the files (``"nonzero"`` together where the values are instance numbers); ``deviations`` from the published data
        set; ``problems`` for which the data cannot be used (files that cannot be read, NaN or infinite values, images
        that are all constant, labels that are all empty); ``ok``: there is neither; ``remarks``: what is doubtful in
        single files (a constant image, an empty label, an unknown orientation). ``preparation`` is ``None``, or
        ``form``, ``jobs`` and ``files`` (numbers) of the preparation that the data set needs first. ``left_out``: a
        line about what lies in a folder of one's own and is not used; empty where there is nothing.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: unknown data set.
    """
    if name not in DATASETS:
        raise ValueError(unknown_dataset(name))
    entry, folder = DATASETS[name], Path(os.path.abspath(directory))
    if not folder.exists():
        raise FileNotFoundError(f"{directory}: no such folder; give the folder of the data set")
    report: dict[str, Any] = {
        "dataset": name,
        "directory": str(folder),
        "split": split or next(iter(entry.splits), None),
        "files": entry.files,
        "preparation": None,
        **{key: [] for key in _LISTS},
    }
    parts: Parts = {}
    jobs: list[Job] = []
    try:
        names, table = dataset_classes(folder, name, class_names)
        table = table if label_values is None else label_table(label_values, names)
        report["classes"] = names
        with collected_messages() as messages:
            options = ListOptions(None, split, unlabelled=True)
            parts, jobs = (listed, []) if listed is not None else _listed(entry, folder, options)
        check_disjoint(parts)
    except (OSError, ValueError) as error:
        report["problems"].append(str(error))
    report["parts"] = {part: _numbers(parts[part]) for part in _PARTS if part in parts}
    if parts or jobs:
        report["published"], report["deviations"] = compare_counts(entry, parts, report["split"], messages, folder)
    if jobs:
        files = sorted({source for job in jobs for source in job.sources})
        report["preparation"] = {"form": next(iter(entry.preparations)), "jobs": len(jobs), "files": len(files)}
        report["problems"] += unreadable_files(files)
    elif not report["problems"]:
        cases = [case for part in parts.values() for case in part]
        labelled = [case for case in cases if "label" in case]
        void = entry.ignore_value if ignore_value is None else ignore_value
        opened = OpenedFiles(entry.files, RememberedFacts() if remember else None)
        report["sizes"], report["label_values"], empty = measure_files(opened, cases, table, void)
        if isinstance(label_values, Mapping) and any(str(key).startswith("#") for key in label_values):
            report["label_values"] = {colour_name(float(v)): share for v, share in report["label_values"].items()}
        with collected_messages() as messages:
            try:
                entry.check(str(directory), labelled, table, None, True, ignore_value, opened)
            except (OSError, ValueError) as error:
                report["problems"].append(str(error))
        if entry.files != "images":  # what the check of 2D images warns of is found below as well
            report["remarks"] += [record.getMessage() for record in messages if record.levelno >= logging.WARNING]
        problems, remarks = look_into_images(str(directory), opened, cases, report["problems"])
        opened.remember()
        report["problems"] += problems
        report["remarks"] += remarks
        if empty and len(empty) == len(labelled):
            report["problems"].append(
                f"{directory}: none of the {len(labelled)} labels holds a voxel of a class; give label_values, or make "
                "the labels again"
            )
        elif empty:
            report["remarks"].append(f"labels without any class ({len(empty)}): {listing(empty)}")
        if not cases:
            report["problems"].append(f"{directory}: holds no cases of {name!r}")
    report["left_out"] = str(_unused(folder, parts)) if entry.described and folder.is_dir() else ""
    report["ok"] = not report["problems"] and not report["deviations"]
    return report


def _listed(entry: DataSet, folder: Path, options: ListOptions) -> tuple[Parts, list[Job]]:
    """Cases by part, or the jobs that would make them."""
    try:
        return entry.parts(folder, options), []
    except ValueError as error:
        if not entry.preparations:
            raise
        try:
            return {}, next(iter(entry.preparations.values())).jobs(folder, options)
        except ValueError as other:
            raise ValueError("\n".join(dict.fromkeys([str(other), str(error)]))) from error


def _unused(folder: Path, parts: Parts) -> LeftOut:
    """Files of a folder of the user's own that are not part of the data set."""
    return unused_files(folder, [*files_of(parts), folder / "dataset.json", folder / PATIENT_TABLE])


def _numbers(cases: Sequence[Case]) -> dict[str, int | None]:
    groups = {str(case["group"]) for case in cases if "group" in case}
    return {"cases": len(cases), "labelled": sum("label" in case for case in cases), "groups": len(groups) or None}
