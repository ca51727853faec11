# SPDX-License-Identifier: Apache-2.0
"""Which value in the label files means which class: what the data set says, else what the values show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sa2_monai.data.fingerprint.facts import Labels
from sa2_monai.data.fingerprint.objects import is_one_piece
from sa2_monai.io.label_colours import colour_name, label_key
from sa2_monai.io.label_values import NONZERO, THRESHOLD

__all__ = ["NO_CLASS", "LabelValues", "class_map", "look_at_labels", "read_labels"]

#: In a class map: there is no label.
NO_CLASS = 255
_SHOWN = 64
_VOID = 255  # value in files that means that by convention
_MOST_CLASSES = 64  # class numbers above are taken for something else
_MANY = 5  # instances in the median case: with fewer, numbers are taken for classes
_BLENDED = 0.1  # share of pixels between black and white that still looks like blurred borders


@dataclass(frozen=True)
class LabelValues:
    """What the label map of one case holds: its values with their numbers of pixels, and what they look like.

    ``numbered``: 1, 2, 3 ... without a gap, each of one piece, as instances are numbered. ``lossy``: of a file whose
    compression invents values.
    """

    counts: dict[int, int]
    numbered: bool
    lossy: bool


def look_at_labels(label: np.ndarray, lossy: bool) -> LabelValues:
    """Values of one label map.

    Args:
        label: (H, W, D).
        lossy: whether the file's compression may have invented values.
    """
    values, counts = _counted(label)
    found = [int(value) for value in values if value != 0]
    consecutive = found == list(range(1, len(found) + 1))
    # A sample of the numbers will do: of thousands of instances all would take minutes.
    sample = found[:: max(1, len(found) // 16)]
    numbered = len(found) > 1 and consecutive and all(is_one_piece(_crop(label == value)) for value in sample)
    return LabelValues(dict(zip(map(int, values), map(int, counts), strict=True)), numbered, lossy)


def _counted(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and how often each is there; without sorting, where they are small."""
    if label.dtype.kind == "u" and label.dtype.itemsize <= 2:
        counts = np.bincount(label.reshape(-1))
        values = np.flatnonzero(counts)
        return values, counts[values]
    return np.unique(label, return_counts=True)


def _crop(mask: np.ndarray) -> np.ndarray:
    places = np.nonzero(mask)
    return mask[tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in places)]


def read_labels(
    cases: Sequence[LabelValues],
    class_names: Sequence[str] | None,
    label_values: Mapping[Any, int] | str | None,
    ignore_value: int | None,
) -> Labels:
    """Decide on the meaning of the values.

    Args:
        cases: what the label maps of the measured cases hold, at least one.
        class_names: names that the data set gives, or the user.
        label_values: table or word that it gives.
        ignore_value: value of pixels without a label that it gives.

    Raises:
        ValueError: values that can mean several things; the message names the switch that says which.
    """
    values = tuple(sorted({value for case in cases for value in case.counts}))
    table, ignore, reason = _meaning(cases, values, class_names, label_values, ignore_value)
    names = tuple(class_names) if class_names is not None else _names(values, table, ignore)
    return Labels(names, table, ignore, values[:_SHOWN], reason, class_names is not None)


def class_map(label: np.ndarray, labels: Labels) -> np.ndarray:
    """Class of each pixel, uint8; 255 where there is no label.

    Args:
        label: of one case, the values of the file.
        labels: their meaning.
    """
    table = labels.label_values
    if table == NONZERO:
        classes = (label != 0).astype(np.uint8)
    elif table == THRESHOLD:
        classes = (label > 127).astype(np.uint8)
    else:
        classes = np.full(label.shape, NO_CLASS, np.uint8)
        default = {index: index for index in range(len(labels.class_names))}
        known = _as_numbers(table) if isinstance(table, Mapping) else default
        if table is None and len(labels.class_names) == 2 and labels.ignore_value != _VOID:
            known[_VOID] = 1
        for value, index in known.items():
            classes[label == value] = index
    if labels.ignore_value is not None:
        classes[label == labels.ignore_value] = NO_CLASS
    return classes


def _meaning(
    cases: Sequence[LabelValues],
    values: Sequence[int],
    class_names: Sequence[str] | None,
    label_values: Mapping[Any, int] | str | None,
    ignore: int | None,
) -> tuple[dict[Any, int] | str | None, int | None, str]:
    shown = _shown(values)
    if label_values is not None:
        table = label_values if isinstance(label_values, str) else dict(label_values)
        in_colours = isinstance(table, dict) and any(str(value).startswith("#") for value in table)
        holds = ", ".join(map(colour_name, values[:8])) if in_colours else shown
        return table, ignore, f"said by the data set; the files hold {holds}"
    two = class_names is None or len(class_names) == 2
    kept = [value for value in values if value != ignore]
    if two and any(case.lossy for case in cases) and len(kept) > 2:
        return THRESHOLD, None, f"lossy label files hold {shown}: what is above 127 is foreground"
    if two and (set(kept) <= {0, 1} or set(kept) <= {0, _VOID}):
        return None, ignore, f"the files hold {shown}: 0 is background, the other value foreground"
    if two and _are_instances(cases):
        numbers = int(np.median([len(case.counts) - 1 for case in cases]))
        return NONZERO, ignore, f"numbered 1, 2, 3 ... without a gap, {numbers} in the median case: instances"
    if two and _are_blended(cases):
        return THRESHOLD, None, "black and white with grey borders: what is above 127 is foreground"
    largest = len(class_names) - 1 if class_names is not None else _MOST_CLASSES
    void = -1 if -1 in kept else _VOID
    others = [value for value in kept if value != void]
    # 0, 1 and 255 may be two classes of three values: nothing says that 255 is none.
    if ignore is None and len(others) >= (2 if void == -1 else 3) and void in kept and 0 <= others[-1] <= largest:
        return None, void, f"the files hold {shown}: class numbers, and {void} for pixels without a label"
    if kept and kept[0] >= 0 and kept[-1] <= largest:
        return None, ignore, f"the files hold {shown}: the numbers of the classes"
    if class_names is None and kept and kept[0] == 0 and len(kept) <= 16:
        return {value: index for index, value in enumerate(kept)}, ignore, f"the files hold {shown}, each a class"
    raise ValueError(
        f"the labels hold {shown}, which can mean several things"
        + (f" for the classes {', '.join(class_names)}" if class_names is not None else "")
        + "; say so with label_values=nonzero (instance numbers), label_values=threshold (grey masks), or a table "
        "value -> class, such as 'label_values={0: 0, 128: 1, 255: 2}'"
    )


def _as_numbers(table: Mapping[Any, int]) -> dict[int, int]:
    """The table with numbers for colours, as the label maps have them."""
    return {label_key(value): int(index) for value, index in table.items()}


def _are_instances(cases: Sequence[LabelValues]) -> bool:
    """Numbers that go on without a gap, each of one piece, and as many as there are objects: others in each case."""
    shown = [case for case in cases if len(case.counts) > 1]
    numbers = [len(case.counts) - 1 for case in shown]
    varies = len(set(numbers)) > 1 or len(numbers) == 1
    single = all(case.numbered or len(case.counts) == 2 for case in shown)
    return bool(shown) and single and varies and float(np.median(numbers)) >= _MANY


def _are_blended(cases: Sequence[LabelValues]) -> bool:
    pixels = sum(sum(case.counts.values()) for case in cases)
    ends = sum(case.counts.get(0, 0) + case.counts.get(_VOID, 0) for case in cases)
    white = sum(case.counts.get(_VOID, 0) for case in cases)
    many = any(len(case.counts) > 8 for case in cases)
    return many and white > 0 and 1 - ends / pixels < _BLENDED


def _names(values: Sequence[int], table: dict[Any, int] | str | None, ignore: int | None) -> tuple[str, ...]:
    kept = [value for value in values if value != ignore]
    if isinstance(table, str) or set(kept) <= {0, 1} or set(kept) <= {0, _VOID}:
        return ("background", "foreground")
    last = max(table.values()) if table is not None else max(kept)
    return ("background", *(f"class {index}" for index in range(1, max(last, 1) + 1)))


def _shown(values: Sequence[int]) -> str:
    if len(values) > 8:
        return f"{', '.join(map(str, values[:4]))} ... {values[-1]} ({len(values)} values)"
    return ", ".join(map(str, values))
