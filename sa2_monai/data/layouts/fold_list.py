# SPDX-License-Identifier: Apache-2.0
"""A file with the cases of each fold, in the form of nnU-Net's ``splits_final.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sa2_monai.data.layouts.cases import Case
from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.problems import listing

__all__ = ["FOLD_LIST_SUFFIX", "is_fold_list", "listed_fold", "read_fold_list", "write_fold_list"]

FOLD_LIST_SUFFIX = ".json"


def is_fold_list(split: str | None) -> bool:
    """Whether the value of ``split`` is a file of folds, not the name of a published split."""
    return split is not None and split.endswith(FOLD_LIST_SUFFIX)


def write_fold_list(path: Path, held_out: Sequence[Sequence[str]]) -> None:
    """Write the file.

    Args:
        path: of the file; its folder is made.
        held_out: names of the cases that each fold holds out; the others train.

    Raises:
        OSError: it cannot be written.
    """
    everything = sorted(name for names in held_out for name in names)
    folds = [{"train": [name for name in everything if name not in set(own)], "val": sorted(own)} for own in held_out]
    write_atomically(path, json.dumps(folds, indent=1, ensure_ascii=False) + "\n")


def read_fold_list(path: str | Path) -> list[tuple[list[str], list[str]]]:
    """Names of the training and of the validation cases of each fold.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it holds something else.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; split is a list of folds, as nnU-Net's splits_final.json")
    try:
        folds = json.loads(file.read_text(encoding="utf-8"))
        found = [(list(map(str, fold["train"])), list(map(str, fold["val"]))) for fold in folds]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{file} is no list of folds; expected [{{"train": [names], "val": [names]}}, ...] as in nnU-Net\'s '
            "splits_final.json"
        ) from error
    if not found:
        raise ValueError(f"{file} lists no fold")
    return found


def listed_fold(path: str | Path, fold: int | None, training: list[Case]) -> tuple[list[Case], list[Case]]:
    """Training and validation cases of a fold, as the file lists them.

    Args:
        path: of the file.
        fold: number of the fold; ``None`` is the first.
        training: the cases that can be folded.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_fold_list`; also for a fold that is not listed, or other cases
            than those of the data.
    """
    folds = read_fold_list(path)
    number = fold or 0
    if number >= len(folds):
        raise ValueError(f"fold is {number}, but {path} lists {len(folds)} folds")
    trains, validates = map(set, folds[number])
    names = {str(case["case"]) for case in training}
    listed = trains | validates
    for what, wrong in (("in both parts", trains & validates), ("not in the data", listed - names)):
        if wrong:
            raise ValueError(
                f"{path}: {len(wrong)} case(s) of fold {number} are {what}: {listing(sorted(wrong))}. The training "
                "part of the data set is folded; cases of its test part cannot be."
            )
    if missing := names - listed:
        raise ValueError(
            f"{path}: fold {number} lists {len(listed)} of {len(names)} training cases; not {listing(sorted(missing))}"
        )
    return (
        [case for case in training if str(case["case"]) in trains],
        [case for case in training if str(case["case"]) in validates],
    )
