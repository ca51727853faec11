# SPDX-License-Identifier: Apache-2.0
"""The table of classes and the values that stand for them in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from sa2_monai.io.label_colours import label_key
from sa2_monai.io.label_values import (
    THRESHOLD,
    WORDS,
    BinaryTable,
    above_threshold,
    from_colour_file,
    from_lossy_file,
    unexplained,
)
from sa2_monai.metrics.boxes import unsigned, values_of

__all__ = [
    "check_ignore_value",
    "check_not_all_ignored",
    "class_table",
    "map_values",
    "present_values",
    "value_table",
]


def class_table(classes: Sequence[str] | Mapping[int, str]) -> dict[int, str]:
    """Return ``value -> name``, background included, sorted by value.

    Args:
        classes: names in the order of their values, background first, or a mapping from value to name; value 0 is
            always background and may be left out of a mapping.

    Raises:
        ValueError: without a class beside the background, or with a name or value that is empty, repeated or negative.
    """
    if isinstance(classes, str):
        raise ValueError(f"classes is the text {classes!r}, expected a list of names with the background first")
    if isinstance(classes, Mapping):
        table = {int(value): str(name) for value, name in classes.items()}
        table.setdefault(0, "background")
    else:
        table = {value: str(name) for value, name in enumerate(classes)}
    names = list(table.values())
    if len(table) < 2:
        raise ValueError(
            f"classes are {names}, expected the background and at least one class, e.g. background,nucleus"
        )
    if min(table) < 0 or len(set(names)) != len(names) or not all(name.strip() for name in names):
        raise ValueError(f"classes are {table}, expected values from 0 and names that are not empty and differ")
    return dict(sorted(table.items()))


def value_table(
    label_values: Mapping[int, int] | str | None, classes: Mapping[int, str], lenient: bool
) -> dict[int, int] | str:
    """Return the table ``value in a file -> class value``, or the word ``"nonzero"`` or ``"threshold"``.

    Args:
        label_values: the table as given; ``None`` for the default; ``"nonzero"`` where every value above 0 (255, or the
            number of an instance) is the one foreground class, ``"threshold"`` where every value above 127 is.
        classes: the table of classes.
        lenient: whether the default of two classes also takes 255 for the foreground (images).

    Raises:
        ValueError: when a target is not a class, or a word meets more than one foreground class.
    """
    if isinstance(label_values, str):
        if label_values not in WORDS:
            raise ValueError(
                f"label_values is {label_values!r}, expected a table value -> class, 'nonzero', 'threshold' or None"
            )
        if len(classes) != 2:
            raise ValueError(
                f"label_values {label_values!r} needs exactly one class beside the background, got {dict(classes)}"
            )
        return label_values
    if label_values is None:
        table = {value: value for value in classes}
        if lenient and len(classes) == 2:
            return BinaryTable({**table, 255: max(classes)})
        return table
    table = {label_key(value): int(target) for value, target in label_values.items()}
    unknown = sorted(set(table.values()) - set(classes))
    if unknown:
        raise ValueError(f"label_values maps to {unknown}, expected values of the classes {dict(classes)}")
    return table


def check_ignore_value(
    ignore_value: int | None, classes: Mapping[int, str], label_values: Mapping[int, int] | str | None
) -> None:
    """Check that the value of ignored pixels stands for nothing else.

    Raises:
        ValueError: when it is a class, or ``label_values`` makes a class of it.
    """
    if ignore_value is None:
        return
    if label_values == THRESHOLD:
        raise ValueError("label_values 'threshold' gives every pixel a class; leave ignore_value out, or give a table")
    used = ignore_value in classes if label_values is None else False
    if isinstance(label_values, Mapping):
        used = any(label_key(value) == ignore_value and target != 0 for value, target in label_values.items())
    if used or ignore_value == 0:
        raise ValueError(
            f"ignore_value is {ignore_value}, but that value of the references stands for a class; give another value, "
            "or leave ignore_value out"
        )


def check_not_all_ignored(ignore_value: int | None, any_ignored: bool) -> None:
    """Refuse references that hold nothing but background and ignored pixels: masks of 0 and 255, as a rule.

    Raises:
        ValueError: when pixels were ignored; called where no reference holds an object.
    """
    if any_ignored:
        raise ValueError(
            f"no reference holds an object beside the value {ignore_value}, which is ignored; where {ignore_value} is "
            f"the foreground, give label_values (0:0,{ignore_value}:1), or leave ignore_value out"
        )


def present_values(array: np.ndarray) -> np.ndarray:
    """Sorted values of an integer array; without sorting where the values are small, which is much faster."""
    if array.dtype.kind not in "bu" or array.dtype.itemsize > 2:
        return np.unique(array)
    return np.array(sorted(values_of(unsigned(array))), dtype=np.int64)


def map_values(
    array: np.ndarray,
    table: Mapping[int, int] | str,
    classes: Mapping[int, str],
    source: str,
    hint: str = "",
    ignore_value: int | None = None,
) -> np.ndarray:
    """Translate the values of a file into class values.

    Args:
        array: integer array.
        table: what :func:`value_table` returned.
        classes: the table of classes.
        source: path of the file, or name of the case; for the message, and to know lossy files.
        hint: what else there is to say; of a prediction.
        ignore_value: value of pixels that are left out, which become background.

    Returns:
        Array of the same shape with class values (the input itself when nothing changes).

    Raises:
        ValueError: when the array holds a value that is not in the table, or one that can be read in two ways.
    """
    values = present_values(array)
    lossy, coloured = partial(from_lossy_file, source), partial(from_colour_file, source)
    wrong = unexplained(values.tolist(), table, ignore_value, lossy, coloured)
    if wrong is not None:
        also = f" ({hint})" if hint else ""
        raise ValueError(
            f"{source}: holds the values {wrong.found}: {wrong.kind}, classes {dict(classes)}{also}; {wrong.fix}"
        )
    if isinstance(table, str):
        inside = above_threshold(array, from_lossy_file(source)) if table == THRESHOLD else array != 0
        if ignore_value is not None:
            inside &= array != ignore_value
        return np.where(inside, max(classes), 0).astype(np.int64 if max(classes) > 255 else np.uint8)
    if ignore_value is not None:
        table = {**table, ignore_value: 0}
    if all(table[int(value)] == int(value) for value in values):
        return array
    targets = np.array([table[int(value)] for value in values])
    targets = targets.astype(np.min_scalar_type(int(targets.max(initial=0))))
    if array.dtype.kind in "bu" and array.dtype.itemsize <= 2:
        every = np.zeros(int(values.max()) + 1, targets.dtype)
        every[values] = targets
        return every[array.view(np.uint8) if array.dtype == bool else array]
    return targets[np.searchsorted(values, array)]
