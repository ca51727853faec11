# SPDX-License-Identifier: Apache-2.0
"""Paths that another program has changed on their way here.

``python -m monai.bundle run`` replaces every ``#`` of a value by ``::``, the way it writes its own ids, and the command
line in front of it drops what it takes for a comment. File systems of Apple and archives made there write accented
letters in two characters. A file is found again where only one can be meant; a folder for results is refused, since
results would land in a folder that nobody has asked for.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

__all__ = ["check_output_path", "existing_path", "verbatim_paths"]

_SEPARATOR, _MARK = "::", "#"
_MOST = 6  # separators of one name; each of them may have been a mark
_verbatim: ContextVar[bool] = ContextVar("verbatim", default=False)


@contextlib.contextmanager
def verbatim_paths() -> Iterator[None]:
    """For the time of a ``with`` block all paths are what the user has typed: nothing stands between."""
    token = _verbatim.set(True)
    try:
        yield
    finally:
        _verbatim.reset(token)


def existing_path(path: str | os.PathLike[str]) -> Path:
    """A file or folder that is there, also where its name has been changed on the way.

    Args:
        path: as it arrived.

    Returns:
        The path; where there is none, the one of which a name differs by ``#`` in place of ``::``, or by the Unicode
        form of its letters, if there is exactly one.

    Raises:
        ValueError: both the path and one with ``#`` are there, and MONAI's parser may stand between.
    """
    path = Path(path)
    there = os.path.lexists(path)
    if there and (_verbatim.get() or _SEPARATOR not in str(path)):
        return path
    found = _others(path)
    if there and found:
        raise ValueError(
            f"{path}: which is meant, this or {found[0]}? MONAI's parser writes '::' for '#'. Rename one of them."
        )
    return found[0] if len(found) == 1 and not there else path


def check_output_path(path: str | os.PathLike[str]) -> None:
    """Refuse a folder for results whose name MONAI's command line has changed.

    Args:
        path: the folder.

    Raises:
        ValueError: there is ``::`` in the path, or the command line has a ``#`` where this path ends.
    """
    if _verbatim.get():
        return
    text = os.fspath(path)
    typed = [word.partition("=")[2] if word.startswith("--") else word for word in sys.argv[1:]]
    before = next((word for word in typed if _MARK in word and text and _may_become(word, text)), None)
    if _SEPARATOR in text or before is not None:
        was = f", which was {before!r}" if before is not None else ""
        raise ValueError(
            f"{text}{was}: MONAI's command line changes names with '#', so that results would land in another folder. "
            "Choose a folder without '#' and '::', or use 'sa2-monai'."
        )


def _may_become(word: str, text: str) -> bool:
    """Whether MONAI's command line turns a word into the path, or the beginning of it."""
    forms = [word.replace(_MARK, _SEPARATOR)]
    if (name := word.partition(_MARK)[0].strip()).isidentifier():  # to Fire, a Python name with a comment
        forms.append(name)
    return any(text == form or text.startswith(form.rstrip("/") + "/") for form in forms)


def _others(path: Path) -> list[Path]:
    """Paths that are there and differ in the way this module knows of."""
    found = [Path(path.anchor)]
    for part in path.parts[1 if path.anchor else 0 :]:
        found = [folder / name for folder in found for name in _names(folder, part)]
    return [other for other in found if other != path]


def _names(folder: Path, name: str) -> list[str]:
    """Names of a folder that a name may have been; the name itself first, where it is there."""
    pieces = name.split(_SEPARATOR)
    if len(pieces) <= _MOST + 1:
        marks = itertools.product((_SEPARATOR, _MARK), repeat=len(pieces) - 1)
        spelled = ["".join(map("".join, zip(pieces, (*joints, ""), strict=True))) for joints in marks]
    else:
        spelled = [name, name.replace(_SEPARATOR, _MARK)]
    there = [spelling for spelling in spelled if os.path.lexists(folder / spelling)]
    if there or name.isascii():
        return there
    wanted = {unicodedata.normalize("NFC", spelling) for spelling in spelled}
    with contextlib.suppress(OSError):
        return sorted(entry for entry in os.listdir(folder) if unicodedata.normalize("NFC", entry) in wanted)
    return []
