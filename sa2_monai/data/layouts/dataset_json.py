# SPDX-License-Identifier: Apache-2.0
"""Data lists of a ``dataset.json`` in the form of the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sa2_monai.data.layouts.cases import EXPECTED_LAYOUT, PART_NAMES, Case, Parts, distinct_cases
from sa2_monai.io.paths import existing_path

__all__ = ["decathlon_case", "decathlon_parts", "read_dataset_json"]


def decathlon_parts(directory: Path, read_entry: Callable[[Path, str, Any], Case] | None = None) -> Parts:
    """Data lists of a ``dataset.json`` (decathlon style, paths relative to its folder).

    Args:
        directory: folder of the file, or the file itself.
        read_entry: function of (the file, part, entry) that makes a case of an entry; ``None`` is
            :func:`decathlon_case`.

    Returns:
        Lists by part; cases keep ``image``, ``label``, ``instances``, ``case`` and ``group``. A part that is missing or
        empty in the file is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a decathlon file.
    """
    path = directory if directory.suffix == ".json" else directory / "dataset.json"
    content = read_dataset_json(path)
    parts: Parts = {}
    for part in PART_NAMES:
        entries = content.get(part) or []
        if not isinstance(entries, list):
            raise ValueError(
                f"{path}: {part!r} is a {type(entries).__name__}, expected a list of image and label paths"
            )
        cases = [(read_entry or decathlon_case)(path, part, entry) for entry in entries]
        if cases:
            parts[part] = sorted(cases, key=lambda case: str(case["image"]))
    return distinct_cases(parts)


def read_dataset_json(path: Path) -> dict[str, Any]:
    """Content of a ``dataset.json``.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {EXPECTED_LAYOUT}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not valid JSON ({error}); correct the file") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__}, expected an object with the list 'training'")
    return content


def decathlon_case(path: Path, part: str, entry: Any) -> Case:
    """Case of one entry of a ``dataset.json``.

    Args:
        path: the file; the entry's paths are relative to its folder.
        part: part that the entry stands in, for the message.
        entry: object with ``image`` (a path, or a list of one file per channel) and others, or the path of an image
            without label.

    Returns:
        ``image``, ``label``, ``instances`` (absolute paths), ``case`` and ``group``, where the entry has them.

    Raises:
        ValueError: no such object, or a case name with slashes.
    """
    if isinstance(entry, str):  # the decathlon's own test lists: images without labels
        entry = {"image": entry}
    files = entry.get("image") if isinstance(entry, dict) else None
    if isinstance(files, list) and files and all(isinstance(name, str) for name in files):
        case = decathlon_case(path, part, {**entry, "image": files[0]})
        case["image"] = [os.path.abspath(existing_path(path.parent / name)) for name in files]
        return case
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
        raise ValueError(f"{path}: {part!r} holds the entry {entry!r}, expected an object with 'image' and 'label'")
    case = {}
    for key in ("image", "label", "instances"):
        if key in entry:
            if not isinstance(entry[key], str):
                raise ValueError(f"{path}: {key!r} of {entry['image']} is {entry[key]!r}, expected one relative path")
            case[key] = os.path.abspath(existing_path(path.parent / entry[key]))
    case["case"] = str(entry.get("case") or Path(entry["image"]).stem)
    if "/" in case["case"] or "\\" in case["case"]:
        raise ValueError(
            f"{path}: the case name {case['case']!r} is no file name, and results are named by it; remove slashes"
        )
    if entry.get("group"):
        case["group"] = str(entry["group"])
    return case
