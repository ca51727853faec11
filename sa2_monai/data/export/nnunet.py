# SPDX-License-Identifier: Apache-2.0
"""Data sets as nnU-Net 2 has them, with our test part and our folds, so that a baseline can be trained next door."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sa2_monai.data.export.files import ENDINGS, new_folder, write_cases, write_images, write_label
from sa2_monai.data.export.source import ExportOptions, Source, find_source
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.described import SPLITS
from sa2_monai.data.layouts.patients import PATIENT_TABLE

__all__ = ["export_nnunet", "patient_table"]


def export_nnunet(
    data: str | os.PathLike[str], output: str | os.PathLike[str], options: ExportOptions | None = None
) -> dict[str, int]:
    """Write a data set in the form of nnU-Net 2.

    Training and validation cases go to ``imagesTr`` and ``labelsTr``, the test part to ``imagesTs`` and ``labelsTs``;
    ``splits_final.json`` has our folds (or the one validation part that the data list), to be copied to nnU-Net's
    folder of preprocessed data before its training. 2D images are PNG, colours in one file as nnU-Net reads them, other
    channels one file each; volumes are NIfTI. Labels hold class numbers; pixels without a label are nnU-Net's
    ``ignore``.

    Args:
        data: folder, ``dataset.json`` or CSV of pairs.
        output: the folder to make, such as ``nnUNet_raw/Dataset101_Glands``; missing or empty.
        options: classes and split.

    Returns:
        Number of cases by part.

    Raises:
        FileExistsError: the folder is not empty.
        ValueError: data that cannot be used, or cases with different numbers of channels.
    """
    source = find_source(data, options or ExportOptions())
    folder = Path(os.path.abspath(output))
    kind, ignored = source.found.kind, len(source.class_names)
    files: dict[str, int] = {}
    with new_folder(folder) as made:

        def write(case: Case, end: str) -> None:
            name, images = str(case["case"]), case["image"]
            images = images if isinstance(images, list) else [images]
            files[name] = len(write_images(images, kind, made / f"images{end}" / name))
            if "label" in case:
                target = made / f"labels{end}" / f"{name}{ENDINGS[kind]}"
                write_label(str(case["label"]), kind, target, source.table, source.ignore_value, ignored)

        for end, cases in _by_folder(source.parts).items():
            for role in ("images", "labels"):
                (made / f"{role}{end}").mkdir()
            write_cases(str(data), cases, partial(write, end=end))
        if len(set(files.values())) > 1:
            one = {number: name for name, number in files.items()}
            raise ValueError(
                f"{data}: cases have different numbers of channel files ({one}); nnU-Net needs the same in every case"
            )
        (made / "dataset.json").write_text(_json(_description(source, max(files.values()))), encoding="utf-8")
        splits = [{"train": training, "val": validation} for training, validation in source.folds]
        (made / SPLITS).write_text(_json(splits), encoding="utf-8")
        patient_table(made, [case for cases in source.parts.values() for case in cases])
    return {part: len(cases) for part, cases in source.parts.items()}


def _by_folder(parts: Parts) -> dict[str, list[Case]]:
    """Cases by the end of their folders' names."""
    found = {"Tr": [*parts["training"], *parts["validation"]], "Ts": parts["test"]}
    return {end: cases for end, cases in found.items() if cases}


def _description(source: Source, files: int) -> dict[str, Any]:
    names = source.found.channel_names
    count = source.found.channels or files
    if names is None or len(names) != count:
        names = ["R", "G", "B"] if source.found.kind == "images" and count == 3 and files == 1 else None
    names = names or (["image"] if count == 1 else [f"channel {k}" for k in range(count)])
    labels = {name: value for value, name in enumerate(source.class_names)}
    if source.ignore_value is not None:
        labels["ignore"] = len(source.class_names)
    return {
        "channel_names": {str(k): name for k, name in enumerate(names)},
        "labels": labels,
        "numTraining": len(source.parts["training"]) + len(source.parts["validation"]),
        "file_ending": ENDINGS[source.found.kind],
        "description": f"{source.found.description}; written by sa2-monai datasets export nnunet",
    }


def patient_table(folder: Path, cases: Sequence[Case]) -> None:
    """Write whose the cases are, where that is known.

    Args:
        folder: the data set's folder.
        cases: all its cases.
    """
    if not cases or not all("group" in case for case in cases):
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([("case", "patient"), *sorted((str(case["case"]), str(case["group"])) for case in cases)])
    (folder / PATIENT_TABLE).write_text(text.getvalue(), encoding="utf-8")


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
