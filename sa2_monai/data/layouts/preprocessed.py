# SPDX-License-Identifier: Apache-2.0
"""Preprocessed files of a data set: by the published list where there is one, else what lies in the folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sa2_monai.io.preprocessed import PREPROCESSED_SUFFIXES, preprocessed_stem
from sa2_monai.io.problems import Problems

__all__ = ["listed_files", "preprocessed_in"]


def listed_files(directory: Path, folders: Sequence[str], name: str) -> tuple[Path, list[str]] | None:
    """Published list of files, one name per line with or without suffix.

    Args:
        directory: the data set's folder.
        folders: where the list may lie, relative to it, in the order of looking.
        name: file name of the list.

    Returns:
        The list's file and its names without suffix; ``None`` where there is no such list.

    Raises:
        ValueError: the list is no text, or names a file twice.
    """
    path = next((found for folder in folders if (found := directory / folder / name).is_file()), None)
    if path is None:
        return None
    try:
        names = [
            preprocessed_stem(line.strip()) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
        ]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not a text file ({error.reason}); expected one file name per line") from error
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{path}: names {len(twice)} files twice, {twice[0]} among them; keep one line of each")
    return path, names


def preprocessed_in(folder: Path, listed: tuple[Path, list[str]] | None, problems: Problems) -> list[Path]:
    """Preprocessed files of a folder, in the order of their numbers (slice 2 before slice 10).

    Args:
        folder: an existing folder.
        listed: result of :func:`listed_files`.
        problems: listed files that are missing are added here.
    """
    files = {
        preprocessed_stem(path): path
        for path in folder.iterdir()
        if path.name.lower().endswith(PREPROCESSED_SUFFIXES) and not path.name.startswith(".") and path.is_file()
    }
    if listed is None:
        return sorted(files.values(), key=_numbers)
    for name in sorted(set(listed[1]) - files.keys()):
        problems.add(
            f"files of {listed[0]} that are missing in {folder}",
            name,
            "unpack the archive again; to use what is there, move the list away",
        )
    return sorted((files[name] for name in listed[1] if name in files), key=_numbers)


def _numbers(path: Path) -> list[tuple[int, str]]:
    """Key of a sort by name in which digits count as numbers."""
    return [(int(text), "") if text.isdigit() else (-1, text) for text in re.split(r"(\d+)", path.name)]
