# SPDX-License-Identifier: Apache-2.0
"""Which values the labels of a data set hold, how often, and whether the label table explains them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from sa2_monai.io.label_values import LabelTable, from_lossy_file, unexplained
from sa2_monai.io.problems import Problems
from sa2_monai.io.processors import usable_processors

__all__ = ["Found", "KindCheck", "count_values", "report_values", "scan"]

#: What the look at one case found: problems (kind, case, hint), the label's file, and its values with their numbers.
Found = tuple[list[tuple[str, str, str]], str, "Counter[float]"]
#: Function of (voxels by value over all labels, label table) that says what is wrong with them, as (kind, what, hint).
KindCheck = Callable[[Mapping[float, int], LabelTable], "tuple[str, str, str] | None"]

_PIECE = 1 << 20  # voxels
_WIDEST = 1 << 16  # range of values that a histogram is made for


def count_values(label: np.ndarray) -> Counter[float]:
    """Number of voxels by value.

    Args:
        label: label map of any dtype and shape.
    """
    values = label.ravel(order="K")
    if values.dtype.kind == "f" and np.array_equal(whole := np.rint(values), values):
        values = whole.astype(np.int64)
    if values.dtype.kind not in "iub" or not values.size or int(values.max()) - int(values.min()) > _WIDEST:
        unique, counts = np.unique(values, return_counts=True)
        return Counter(dict(zip(unique.tolist(), counts.tolist(), strict=True)))
    # A histogram, piece by piece: far faster than sorting millions of voxels, and small.
    low, high = int(values.min()), int(values.max())
    total = np.zeros(high - low + 1, dtype=np.int64)
    for start in range(0, values.size, _PIECE):
        total += np.bincount(values[start : start + _PIECE].astype(np.int64) - low, minlength=total.size)
    return Counter({int(value) + low: int(total[value]) for value in np.flatnonzero(total)})


def scan(look: Callable[[Mapping[str, Any]], Found], cases: Iterable[Mapping[str, Any]]) -> list[Found]:
    """Look at all cases in a thread pool.

    Args:
        look: function of a case.
        cases: data list.

    Returns:
        What was found, in the order of the cases.
    """
    with ThreadPoolExecutor(max_workers=min(16, usable_processors())) as pool:
        return list(pool.map(look, cases))


def report_values(problems: Problems, found: list[Found], table: LabelTable, kind_check: KindCheck | None) -> None:
    """Add what is wrong with the cases and their label values to the problems.

    Args:
        problems: added to.
        found: what :func:`scan` returned.
        table: value in the file -> class, ``"nonzero"`` or ``"threshold"``.
        kind_check: further check of all values together; where it finds something, the values are not checked singly.
    """
    total: Counter[float] = Counter()
    for case_problems, _, counts in found:
        total.update(counts)
        for problem in case_problems:
            problems.add(*problem)
    wrong = kind_check(total, table) if kind_check is not None and total else None
    if wrong is not None:
        problems.add(*wrong)
        return
    for _, name, counts in found:
        unknown = unexplained(counts, table, lossy=partial(from_lossy_file, name))
        if unknown is not None:
            problems.add(unknown.kind, f"{name}: {unknown.found}", unknown.fix)
