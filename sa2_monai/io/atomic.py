# SPDX-License-Identifier: Apache-2.0
"""Files that are either the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from sa2_monai.io.names import file_name
from sa2_monai.io.text import encodable

__all__ = ["atomic_write", "remove_leftovers", "write_atomically", "write_json"]


def atomic_write(path: str | os.PathLike[str], write: Callable[[BinaryIO], Any]) -> None:
    """Write a file under a temporary name beside it, flush it to the disk, and rename it.

    Args:
        path: the file; its folder is made when it is not there.
        write: gets the open binary file and writes all of it.

    Raises:
        OSError: when the folder cannot be made or written, or the disk is full. The old file is untouched then, and
            the temporary one is gone.
    """
    path = Path(path)
    # Programs on several machines have the same numbers.
    temporary = path.parent / f"{_before(path)}{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        # torch's zip writer reports a failing write as a RuntimeError and keeps the OSError as context.
        cause = error if isinstance(error, OSError) else error.__context__
        if isinstance(cause, OSError):
            kept = " The file that was there before is unchanged." if path.exists() else ""
            raise OSError(
                cause.errno,
                f"cannot write {path}: {cause.strerror or cause}. Free space or make the folder writable, or choose "
                f"another folder.{kept}",
            ) from error
        raise
    _flush_folder(path.parent)


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write a file whose content is at hand by :func:`atomic_write`.

    Args:
        path: the file; its folder is made when it is not there.
        content: text (written as UTF-8; bytes of a file name that are none as JSON has them) or bytes.

    Returns:
        The path.

    Raises:
        OSError: as there.
    """
    data = encodable(content).encode("utf-8") if isinstance(content, str) else content
    atomic_write(path, lambda file: file.write(data))
    return Path(path)


def write_json(path: str | os.PathLike[str], document: dict[str, Any]) -> None:
    """Write a JSON file by :func:`atomic_write`.

    Raises:
        OSError: as there.
        TypeError: for values that JSON does not have.
    """
    write_atomically(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove temporary files of ``path`` that a killed process left behind."""
    path = Path(path)
    for leftover in path.parent.glob(f"{glob.escape(_before(path))}*.tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _before(path: Path) -> str:
    """Beginning of the names of temporary files, with room for the rest."""
    return f".{file_name(path.name, '', limit=210)}."


def _flush_folder(folder: Path) -> None:
    """Make the renaming itself survive a power failure, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
