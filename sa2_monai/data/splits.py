# SPDX-License-Identifier: Apache-2.0
"""Reproducible splits: folds, a held-out test part, split files, and the check that no case leaks.

All functions work on sorted names, so that the result depends on the names and the seed, never on a directory listing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.atomic import write_atomically

__all__ = ["check_disjoint", "kfold", "split_test", "write_splits"]


def kfold(num_cases: int, num_folds: int = 5, seed: int = 999) -> list[tuple[list[int], list[int]]]:
    """Shuffled K-fold split with the membership of scikit-learn's ``KFold(shuffle=True, random_state=seed)``.

    Args:
        num_cases: length of the (sorted) list that is folded.
        num_folds: number of folds, 2 to ``num_cases``. The first ``num_cases % num_folds`` folds hold one case more.
        seed: seed of ``numpy.random.RandomState``; 999 is the published one of SA2-Net.

    Returns:
        For each fold the pair (training indices, validation indices), both ascending.

    Raises:
        ValueError: fewer than 2 folds, or fewer cases than folds.
    """
    if not 2 <= num_folds <= num_cases:
        raise ValueError(
            f"{num_folds} folds of {num_cases} cases are not possible; num_folds must lie between 2 and the number of "
            "training cases"
        )
    order = np.arange(num_cases)
    np.random.RandomState(seed).shuffle(order)
    folds = []
    for part in np.array_split(order, num_folds):
        held_out = np.zeros(num_cases, dtype=bool)
        held_out[part] = True
        folds.append((np.flatnonzero(~held_out).tolist(), np.flatnonzero(held_out).tolist()))
    return folds


def split_test(
    names: Sequence[str], fraction: float = 0.2, seed: int = 999, groups: Sequence[str] | None = None
) -> tuple[list[int], list[int]]:
    """Hold out a test part, whole groups at a time.

    Args:
        names: case names, each once.
        fraction: share of the cases (of the groups, where given) that is held out, in [0, 1); at least one if > 0.
        seed: seed of ``numpy.random.RandomState``.
        groups: group (patient, slide, video) of each case; a group is never divided.

    Returns:
        The pair (remaining indices, test indices) into ``names``, both in the order of the sorted names.

    Raises:
        ValueError: fraction outside [0, 1), or nothing would remain for training.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"test_fraction is {fraction}, expected a number in [0, 1)")
    keys = list(groups if groups is not None else names)
    units = sorted(set(keys))
    count = max(1, round(len(units) * fraction)) if fraction > 0 and units else 0
    if units and count >= len(units):
        raise ValueError(
            f"{len(units)} case(s) or group(s) are too few to hold out {fraction:.0%} as test part; add images, "
            "or give the test part its own folder"
        )
    order = np.random.RandomState(seed).permutation(len(units))
    held_out = {units[i] for i in order[:count]}
    by_name = sorted(range(len(names)), key=lambda i: names[i])
    return [i for i in by_name if keys[i] not in held_out], [i for i in by_name if keys[i] in held_out]


def check_disjoint(parts: Mapping[str, Sequence[Mapping[str, Any]]], keys: Sequence[str] = ("case", "group")) -> None:
    """Check that no case, group or image file stands in two parts.

    Args:
        parts: data lists by part, such as ``{"training": [...], "test": [...]}``.
        keys: entries of the cases that must not be shared; cases without the entry are skipped. The image is always
            compared.

    Raises:
        ValueError: names what is shared, and by which parts.
    """
    for key in (*keys, "image"):
        seen: dict[str, str] = {}
        shared: list[str] = []
        for part, cases in parts.items():
            for value in sorted({str(case[key]) for case in cases if case.get(key)}):
                if value in seen:
                    shared.append(f"{value} ({seen[value]} and {part})")
                else:
                    seen[value] = part
        if shared:
            more = f" and {len(shared) - 10} more" if len(shared) > 10 else ""
            raise ValueError(
                f"the same {key} stands in two parts of the data: {', '.join(shared[:10])}{more}; "
                "scores would be optimistic, keep it in one part"
            )


def write_splits(directory: str | os.PathLike[str], parts: Mapping[str, Sequence[Any]]) -> list[Path]:
    """Write split files: ``<directory>/<part>.txt``, sorted, one case identifier per line.

    Args:
        directory: folder, made if missing.
        parts: case names, or data lists with the entry ``case``, by part (``train``, ``val``, ``test``).

    Returns:
        The files written.

    Raises:
        ValueError: a case stands in two parts.
        OSError: the folder cannot be written.
    """
    cases = {
        part: [c if isinstance(c, Mapping) else {"case": str(c)} for c in members] for part, members in parts.items()
    }
    check_disjoint(cases)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for part, members in cases.items():
        path = folder / f"{part}.txt"
        write_atomically(path, "".join(f"{name}\n" for name in sorted(str(c["case"]) for c in members)).encode())
        files.append(path)
    return files
