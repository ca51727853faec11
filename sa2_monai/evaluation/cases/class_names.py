# SPDX-License-Identifier: Apache-2.0
"""The names of the classes from the ``dataset.json`` beside predictions or references (nnU-Net, decathlon)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["DEFAULT_CLASSES", "find_classes", "read_classes"]

#: Where nothing names the classes.
DEFAULT_CLASSES = ("background", "foreground")


def find_classes(predictions: Any, references: Any) -> dict[int, str] | None:
    """Look for ``dataset.json`` in the folder of the predictions, that of the references, and the one above it.

    Args:
        predictions: folder of the predictions; anything else is not looked at.
        references: the same for the references.

    Returns:
        Value -> name of the first table found, or ``None``.

    Raises:
        ValueError: when a table is there but cannot be used.
    """
    folders = [Path(source) for source in (predictions, references) if isinstance(source, (str, Path))]
    if len(folders) == 2:
        folders.append(folders[1].absolute().parent)
    for folder in folders:
        path = folder / "dataset.json"
        if path.is_file():
            found = read_classes(path)
            if found is not None:
                return found
    return None


def read_classes(path: str | Path) -> dict[int, str] | None:
    """Read the table of classes of a ``dataset.json``.

    Args:
        path: the file; ``labels`` holds name -> value (nnU-Net) or value -> name (decathlon).

    Returns:
        Value -> name, sorted by value; nnU-Net's label ``ignore`` is left out, and a lone 255 is class 1. ``None``
        where there is no ``labels``.

    Raises:
        ValueError: for a damaged file, regions (several values for a name), or values that are no numbers.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is no JSON file ({error}); repair it or give the names with --classes") from error
    labels = content.get("labels") if isinstance(content, dict) else None
    if not labels:
        return None
    if isinstance(labels, list):
        return dict(enumerate(map(str, labels)))
    if not isinstance(labels, Mapping):
        raise ValueError(f"{path}: 'labels' is {labels!r}, expected a table; give the names with --classes")
    table: dict[int, str] = {}
    for key, item in labels.items():
        if isinstance(item, (list, tuple)):
            raise ValueError(
                f"{path}: the label {key!r} is the region {list(item)} of several values; name the classes of the "
                "files with --classes"
            )
        number, name = (key, item) if str(key).strip().isdigit() else (item, key)
        try:
            value = int(number)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: the label {key!r}: {item!r} has no value, expected a whole number") from error
        if str(name) == "ignore":
            continue
        if value in table:
            raise ValueError(f"{path}: two labels have the value {value}: {table[value]!r} and {name!r}")
        table[value] = str(name)
    if len(table) == 2 and set(table) == {0, 255}:  # a mask of 0 and 255, which predictions write as 0 and 1, too
        return {0: table[0], 1: table[255]}
    return dict(sorted(table.items()))
