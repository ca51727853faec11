# SPDX-License-Identifier: Apache-2.0
"""Tables value in a label file -> class, made of what a user or a ``dataset.json`` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.io.label_colours import label_key
from sa2_monai.io.label_values import NONZERO, WORDS, BinaryTable, LabelTable
from sa2_monai.io.problems import listing

__all__ = ["check_label_names", "label_names", "label_table", "without_ignored"]


def label_table(label_values: Mapping[Any, int] | str | None, class_names: Sequence[str]) -> LabelTable:
    """Table of the values in label files.

    Args:
        label_values: value in the file -> class (keys may be text, as JSON and YAML have them, or colours as
            ``"#ff0000"``); ``"nonzero"``: every value but 0 is class 1; ``"threshold"``: values above 127 are class 1
            (masks in JPEG files); or ``None``: class 1 is 1 or 255 of two classes (not both in one file), otherwise
            every class is its own value.
        class_names: names of the classes, background first.

    Returns:
        ``"nonzero"``, ``"threshold"``, or a dictionary of integers.

    Raises:
        ValueError: fewer than two classes, doubled names, or a table that does not fit them.
    """
    names = list(class_names)
    if isinstance(class_names, str) or len(names) < 2 or len({name.lower() for name in names}) < len(names):
        raise ValueError(f"class_names is {class_names!r}, expected at least two different names, background first")
    if label_values is None:
        return BinaryTable({0: 0, 1: 1, 255: 1}) if len(names) == 2 else {k: k for k in range(len(names))}
    if isinstance(label_values, str):
        if label_values not in WORDS:
            raise ValueError(
                f"label_values is {label_values!r}, expected 'nonzero', 'threshold' or a table value -> class"
            )
        if len(names) != 2:
            raise ValueError(
                f"label_values {label_values!r} knows two classes, class_names has {len(names)}; give a table value -> "
                "class"
            )
        return label_values
    try:
        table = {label_key(value): int(index) for value, index in label_values.items()}
    except (TypeError, ValueError, AttributeError):
        raise ValueError(
            f"label_values is {label_values!r}, expected a table of integers value -> class (or of colours, #ff0000)"
        ) from None
    outside = {value: index for value, index in table.items() if not 0 <= index < len(names)}
    if outside or not table:
        raise ValueError(
            f"label_values {label_values!r} names classes outside 0 to {len(names) - 1}; class_names has {len(names)}"
        )
    return table


def without_ignored(table: LabelTable, ignore_value: int | None) -> LabelTable:
    """Table of a data set with pixels without a label.

    Args:
        table: see :func:`label_table`; the default of two classes takes 255 for foreground.
        ignore_value: value of pixels without a label; ``None`` if there is none.

    Returns:
        The table without that value.

    Raises:
        ValueError: a table given by the user has it, or every pixel gets a class by a threshold.
    """
    if ignore_value is None or table == NONZERO:
        return table
    if isinstance(table, str):
        raise ValueError(f"label_values {table!r} gives every pixel a class; set ignore_value to null, or give a table")
    if ignore_value in table and not isinstance(table, BinaryTable):
        raise ValueError(
            f"label_values gives class {table[ignore_value]} to {ignore_value}, the ignore_value; take it out of the "
            "table, or set ignore_value to null"
        )
    return {value: index for value, index in table.items() if value != ignore_value}


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
        ValueError: what contradicts, and the hint.
    """
    if not isinstance(labels, Mapping) or isinstance(table, str):
        return
    entries = label_names(path, labels)
    lower = [name.lower() for name in class_names]
    found = []
    for number, name in entries:
        if name.lower() == "ignore":  # nnU-Net's word for pixels without a label
            continue
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
