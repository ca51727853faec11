# SPDX-License-Identifier: Apache-2.0
"""Which paths are bundles, or cross-validations; nothing is read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from sa2_monai.bundle.locate import bundle_names, config_file

__all__ = ["bundles_first", "folds_of"]

#: In the folder of a cross-validation.
_CROSSVAL = "crossval.json"


def folds_of(path: str | os.PathLike[str]) -> list[Path] | None:
    """Folders of the folds of a cross-validation, in order; ``None`` for a folder that holds none.

    Args:
        path: of the folder.

    Raises:
        ValueError: the cross-validation has no trained fold, or one of them has no weights yet.
    """
    folder = Path(path)
    if not (folder / _CROSSVAL).is_file() or config_file(folder, "inference"):
        return None
    folds = [found for found in folder.glob("fold*") if re.fullmatch(r"fold\d+", found.name)]
    folds.sort(key=lambda fold: int(fold.name.removeprefix("fold")))
    missing = [fold.name for fold in folds if not (fold / "models" / "model.pt").is_file()]
    if missing or not folds:
        what = f"{missing[0]} has no models/model.pt" if missing else "no fold is there"
        raise ValueError(
            f"{folder} is a cross-validation that is not finished: {what}. The command that began it goes on."
        )
    return folds


def bundles_first(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide words into bundles, and what comes behind them.

    Args:
        words: the first is a bundle whatever it is; the others are as long as they can be one.
    """
    count = next((index for index, word in enumerate(words) if index and not _can_be_bundle(word)), len(words))
    return list(words[:count]), list(words[count:])


def _can_be_bundle(word: str) -> bool:
    path = Path(word)
    if path.is_dir():
        return config_file(path, "inference") is not None or (path / _CROSSVAL).is_file()
    return path.suffix.lower() == ".zip" or (word in bundle_names() and not path.exists())
