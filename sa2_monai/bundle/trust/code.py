# SPDX-License-Identifier: Apache-2.0
"""Python code beside the configurations of a bundle: MONAI searches its folder for modules, before installed ones."""

from __future__ import annotations

import os
import re
from importlib.machinery import all_suffixes
from pathlib import Path

__all__ = ["code_beside", "has_cached_cases"]

#: Where bundles of the model zoo have theirs.
_SCRIPTS = "scripts"
# By MD5, as MONAI's PersistentDataset names them.
_CACHED = re.compile(r"[0-9a-f]{32,}\.pt")


def code_beside(folder: str | os.PathLike[str]) -> list[str]:
    """Files that ``import`` would find in the folder of a bundle: modules, packages, and all of ``scripts/``.

    Args:
        folder: folder of the bundle.

    Returns:
        Their names below the folder, sorted.
    """
    folder, suffixes = Path(folder), tuple(all_suffixes())
    found = []
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.endswith(suffixes):
            found.append(entry.name)
        elif entry.is_dir() and entry.name.isidentifier():
            inside = sorted(os.listdir(entry)) if entry.name == _SCRIPTS else [f"__init__{one}" for one in suffixes]
            found += [f"{entry.name}/{one}" for one in inside if one.endswith(suffixes) and (entry / one).exists()]
    return sorted(found)


def has_cached_cases(folder: str | os.PathLike[str]) -> bool:
    """Whether a bundle comes with cached cases, pickles that MONAI would load.

    Args:
        folder: folder of the bundle.
    """
    return any(_CACHED.fullmatch(file.name) for file in Path(folder).rglob("*.pt"))
