# SPDX-License-Identifier: Apache-2.0
"""Folders of a download, wherever the archive put them: in the folder that is given, or a level or two below."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["folder_with", "folders_below", "subfolder"]


def folders_below(directory: Path, levels: int = 1) -> Iterator[Path]:
    """The folder itself, then those below it, nearest first, sorted by name; hidden ones and macOS's copies left out.

    Args:
        directory: an existing folder.
        levels: how deep to look.
    """
    level = [directory]
    for depth in range(levels + 1):
        yield from level
        if depth < levels:
            level = [
                path
                for folder in level
                for path in sorted(folder.iterdir())
                if path.is_dir() and not path.name.startswith((".", "__MACOSX"))
            ]


def subfolder(folder: Path, name: str) -> Path | None:
    """Folder of a name inside another one, capitals and small letters taken as equal.

    Args:
        folder: an existing folder.
        name: name, or path with slashes.

    Returns:
        The path as it is on disk, ``None`` if there is none.
    """
    found: Path | None = folder
    for part in name.split("/"):
        if found is None:
            return None
        if (found / part).is_dir():
            found = found / part
            continue
        found = next((p for p in sorted(found.iterdir()) if p.is_dir() and p.name.lower() == part.lower()), None)
    return found


def folder_with(directory: Path, *names: str, levels: int = 1) -> Path | None:
    """The nearest folder that holds folders of all these names.

    Args:
        directory: where to begin, an existing folder.
        names: names of folders, as :func:`subfolder` takes them.
        levels: how deep to look below ``directory``.

    Returns:
        The folder, ``None`` if there is none.
    """
    for folder in folders_below(directory, levels):
        if all(subfolder(folder, name) is not None for name in names):
            return folder
    return None
