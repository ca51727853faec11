# SPDX-License-Identifier: Apache-2.0
"""Data sets in the form of the Medical Segmentation Decathlon, which MONAI's tutorials and this package read."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

from sa2_monai.data.export.files import ENDINGS, new_folder, write_cases, write_images, write_label
from sa2_monai.data.export.source import ExportOptions, find_source
from sa2_monai.data.layouts.cases import Case

__all__ = ["export_decathlon"]


def export_decathlon(
    data: str | os.PathLike[str], output: str | os.PathLike[str], options: ExportOptions | None = None
) -> dict[str, int]:
    """Write a data set with a ``dataset.json`` that lists the training, validation and test part.

    Args:
        data: folder, ``dataset.json`` or CSV of pairs.
        output: the folder to make; missing or empty.
        options: classes and split.

    Returns:
        Number of cases by part.

    Raises:
        FileExistsError: the folder is not empty.
        ValueError: data that cannot be used.
    """
    source = find_source(data, options or ExportOptions())
    kind = source.found.kind
    lists: dict[str, list[dict[str, Any]]] = {}
    with new_folder(Path(os.path.abspath(output))) as made:

        def write(case: Case, end: str, entries: dict[str, dict[str, Any]]) -> None:
            name, files = str(case["case"]), case["image"]
            files = files if isinstance(files, list) else [files]
            images = write_images(files, kind, made / f"images{end}" / name, numbered=False)
            paths = [path.relative_to(made).as_posix() for path in images]
            entry: dict[str, Any] = {"image": paths[0] if len(paths) == 1 else paths}
            if "label" in case:
                entry["label"] = f"labels{end}/{name}{ENDINGS[kind]}"
                write_label(str(case["label"]), kind, made / entry["label"], source.table, source.ignore_value)
            entries[name] = {**entry, "case": name, **({"group": case["group"]} if "group" in case else {})}

        for part, cases in source.parts.items():
            end = "Ts" if part == "test" else "Tr"
            for role in ("images", "labels"):
                if cases:
                    (made / f"{role}{end}").mkdir(exist_ok=True)
            entries: dict[str, dict[str, Any]] = {}
            write_cases(str(data), cases, partial(write, end=end, entries=entries))
            lists[part] = [entries[name] for name in sorted(entries)]
        names = source.found.channel_names or ["image"]
        document = {
            "name": Path(output).name,
            "description": f"{source.found.description}; written by sa2-monai datasets export decathlon",
            "tensorImageSize": "2D" if kind == "images" else "3D",
            "modality": {str(k): name for k, name in enumerate(names)},
            "labels": {str(value): name for value, name in enumerate(source.class_names)},
            "numTraining": len(lists["training"]),
            "numTest": len(lists["test"]),
            **lists,
        }
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        (made / "dataset.json").write_text(text, encoding="utf-8")
    return {part: len(cases) for part, cases in lists.items()}
