# SPDX-License-Identifier: Apache-2.0
"""Folders in which something is made before it is moved to its place; those of killed programs are removed."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sa2_monai.io.names import file_name
from sa2_monai.io.ownership import claim_folder, is_abandoned

__all__ = ["temporary_folder", "workplace"]

_SUFFIX = ".partial"
#: Seconds after which an empty one, killed before it had the mark of its program, belongs to nobody.
_OLD = 60.0


@contextlib.contextmanager
def workplace(target: str | os.PathLike[str], purpose: str) -> Iterator[Path]:
    """A folder beside the place of something, in which that is made; moving it to its place is the caller's.

    It is gone at the end. One that a killed program has left beside the same place goes with the next.

    Args:
        target: the place.
        purpose: what is made, for messages.

    Yields:
        The folder; it holds nothing but the mark of this program, a hidden file.

    Raises:
        OSError: the folder of the place cannot be made or written.
    """
    target = Path(os.path.abspath(target))
    with _marked(target.parent, target.name, purpose, 0o777) as folder:
        yield folder


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A private, empty folder in that for temporary files, which survives a killed program no longer than to the next.

    Raises:
        OSError: it cannot be made.
    """
    with _marked(Path(tempfile.gettempdir()), "sa2_monai", "temporary files", 0o700) as place:
        folder = place / "files"
        folder.mkdir()
        yield folder


@contextlib.contextmanager
def _marked(parent: Path, name: str, purpose: str, mode: int) -> Iterator[Path]:
    before = f".{file_name(name, '', limit=210)}."
    folder = parent / f"{before}{secrets.token_hex(4)}{_SUFFIX}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent, before)
        folder.mkdir(mode)
    except OSError as error:
        raise type(error)(
            error.errno,
            f"cannot write to the folder {parent} ({error.strerror}). Choose another one, or make this one writable.",
        ) from error
    try:
        with claim_folder(folder, purpose):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path, before: str) -> None:
    for left in parent.glob(f"{glob.escape(before)}*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
            elif time.time() - left.stat().st_mtime > _OLD:
                left.rmdir()  # which only empty ones let be done to them
