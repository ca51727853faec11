# SPDX-License-Identifier: Apache-2.0
"""Checks of images and label maps before training starts: readable, of one size, with known values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.images.read import read_image, read_label
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.problems import Problems, listing

__all__ = ["LabelTable", "check_cases", "check_label_names", "label_names", "label_table"]

#: Value in the label file -> class, or ``"nonzero"``: every value but 0 is class 1.
LabelTable = dict[int, int] | str


def label_table(label_values: Mapping[Any, int] | str | None, class_names: Sequence[str]) -> LabelTable:
    """Table of the values in label files.

    Args:
        label_values: value in the file -> class (keys may be text, as JSON and YAML have them), ``"nonzero"``, or
            ``None``: ``{0: 0, 1: 1, 255: 1}`` for two classes, otherwise every class is its own value.
        class_names: names of the classes, background first.

    Returns:
        ``"nonzero"``, or a dictionary of integers.

    Raises:
        ValueError: fewer than two classes, doubled names, or a table that does not fit them.
    """
    names = list(class_names)
    if isinstance(class_names, str) or len(names) < 2 or len({name.lower() for name in names}) < len(names):
        raise ValueError(f"class_names is {class_names!r}, expected at least two different names, background first")
    if label_values is None:
        return {0: 0, 1: 1, 255: 1} if len(names) == 2 else {k: k for k in range(len(names))}
    if isinstance(label_values, str):
        if label_values != "nonzero":
            raise ValueError(f"label_values is {label_values!r}, expected 'nonzero' or a table value -> class")
        if len(names) != 2:
            raise ValueError(
                f"label_values 'nonzero' knows two classes, class_names has {len(names)}; give a table value -> class"
            )
        return "nonzero"
    try:
        table = {int(value): int(index) for value, index in label_values.items()}
    except (TypeError, ValueError, AttributeError):
        raise ValueError(f"label_values is {label_values!r}, expected a table of integers value -> class") from None
    outside = {value: index for value, index in table.items() if not 0 <= index < len(names)}
    if outside or not table:
        raise ValueError(
            f"label_values {label_values!r} names classes outside 0 to {len(names) - 1}; class_names has {len(names)}"
        )
    return table


def check_cases(
    where: str,
    cases: Sequence[Mapping[str, Any]],
    table: LabelTable,
    in_channels: int | None,
    ignore_value: int | None = None,
) -> None:
    """Read all images and labels in a thread pool and report every problem in one error.

    Args:
        where: folder named in the message.
        cases: data list.
        table: see :func:`label_table`.
        in_channels: channels that the images will be read with; ``None`` for whatever the files have. Grey and colour
            become 1 or 3, any other number must be that of the file, or of the files of a case together.
        ignore_value: value in the labels that belongs to no class; ``None`` if there is none.

    Raises:
        ValueError: unreadable or missing files, labels of another size than their image, unknown label values, labels
            that hold nothing but 0 and the ignored value, channel counts that pictures cannot have.
    """
    if in_channels is not None and in_channels < 1:
        raise ValueError(f"in_channels is {in_channels}, expected 1 (grey), 3 (RGB), or what the files hold")
    problems = Problems(where)
    values: set[int] = set()
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        for found, of_case in pool.map(lambda case: _check_case(case, table, in_channels, ignore_value), cases):
            values |= of_case
            for problem in found:
                problems.add(*problem)
    if ignore_value is not None and values == {0, ignore_value}:
        problems.add(
            f"labels with the values 0 and {ignore_value} only, of which {ignore_value} is ignored",
            f"all {len(cases)} labels",
            "write class numbers from 1 into the masks, or use a layout in which white is foreground, such as 'folder'",
        )
    problems.raise_if_any()


def label_names(path: Path, labels: Mapping[Any, Any]) -> list[tuple[int, str]]:
    """Entries of the ``labels`` of a ``dataset.json``.

    Args:
        path: the file, named in the message.
        labels: table value -> name, or name -> value as nnU-Net and newer decathlon files have it.

    Returns:
        Pairs (value, name) in the order of the table.

    Raises:
        ValueError: an entry without a whole number, such as nnU-Net's regions of several values.
    """
    entries: list[tuple[int, str]] = []
    for key, value in labels.items():
        text, number = (value, key) if str(key).lstrip("-").isdigit() else (key, value)
        if not str(number).lstrip("-").isdigit():
            regions = "; regions of several values are not supported, give each value a name" * isinstance(value, list)
            raise ValueError(f"{path}: 'labels' holds {key!r}: {value!r}, expected a table value -> name{regions}")
        entries.append((int(number), str(text)))
    return entries


def check_label_names(path: Path, labels: Any, table: LabelTable, class_names: Sequence[str]) -> None:
    """Compare the ``labels`` table of a ``dataset.json`` with the classes of the training.

    Names need not be equal ("nucleus" may be trained as "foreground"), but a value must be known, and a name must not
    stand for another class.

    Args:
        path: the file, named in the message.
        labels: table value -> name (or name -> value, as newer decathlon files have it); ``None`` checks nothing.
        table: see :func:`label_table`.
        class_names: names of the classes, background first.

    Raises:
        ValueError: what contradicts, and the cure.
    """
    if not isinstance(labels, Mapping) or isinstance(table, str):
        return
    entries = label_names(path, labels)
    lower = [name.lower() for name in class_names]
    found = []
    for number, name in entries:
        if number not in table:
            found.append(f"value {number} ({name}) belongs to no class")
        elif name.lower() in lower and lower.index(name.lower()) != table[number]:
            found.append(
                f"value {number} is {name}, but would become class {table[number]} ({class_names[table[number]]})"
            )
    if found:
        raise ValueError(
            f"{path}: its 'labels' contradict class_names {list(class_names)} with the label table {table}: "
            f"{listing(found, separator='; ')}; correct class_names or label_values (value in the file -> class)"
        )


def _check_case(
    case: Mapping[str, Any], table: LabelTable, in_channels: int | None, ignore_value: int | None
) -> tuple[list[tuple[str, str, str]], set[int]]:
    """Problems of one case as (kind, case, cure), and the values of its label."""
    found: list[tuple[str, str, str]] = []
    sizes: list[tuple[int, int]] = []
    label: np.ndarray | None = None
    values: set[int] = set()
    images = list(case["image"]) if isinstance(case["image"], (list, tuple)) else [case["image"]]
    channels = 0
    for key, path in [("image", image) for image in images] + [("label", case["label"])]:
        try:
            if key == "image":
                array = read_image(path, in_channels if len(images) == 1 and in_channels in (1, 3) else None)
                channels += array.shape[2]
            else:
                array = label = read_label(path)
            sizes.append((array.shape[0], array.shape[1]))
        except (OSError, ValueError) as error:
            cure = "replace or remove these files"
            if str(path).lower().endswith(VOLUME_SUFFIXES):
                cure = "these are volumes by their suffix: read them with dataset 'volumes'"
            found.append((f"unreadable {key} files", str(error), cure))
    if len(sizes) == len(images) + 1:
        if in_channels not in (None, channels):
            more = f" and {len(images) - 1} more" if len(images) > 1 else ""
            cure = (
                "set in_channels to 1 (grey) or 3 (RGB), or to the number of channels that the files of a case hold "
                "together"
            )
            found.append((f"images without {in_channels} channels", f"{images[0]}{more}: {channels}", cure))
        if len(set(sizes[:-1])) > 1:
            cure = "the files of a case are channels of one image, make them of one size"
            found.append(("cases with files of different size", str(images[0]), cure))
        del sizes[1:-1]
    if len(sizes) == 2 and sizes[0] != sizes[1]:
        (height, width), (label_height, label_width) = sizes
        found.append(
            (
                "labels of another size than their image",
                f"{case['label']}: {label_width} x {label_height}, image {width} x {height} (width x height)",
                "make each label from its own image, at the image's full size",
            )
        )
    if label is not None and (isinstance(table, dict) or ignore_value is not None):
        values = set(np.unique(label).tolist())
    if label is not None and isinstance(table, dict):
        unknown = sorted(values - set(table) - {ignore_value})
        if unknown:
            found.append(
                (
                    f"label values outside the table {table}",
                    f"{case['label']}: {listing([str(value) for value in unknown], 8)}",
                    "give label_values (value in the file -> class, or 'nonzero'), add the missing class_names, or "
                    "repair the files (JPEG and interpolation invent values)",
                )
            )
    if label is not None and isinstance(table, str) and label.min(initial=0) < 0:
        found.append(("negative label values", str(case["label"]), "write class or instance numbers from 0"))
    return found, values
