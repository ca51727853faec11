# SPDX-License-Identifier: Apache-2.0
"""Files of ours that hold tensors and plain values, and the checksum of all their bytes.

PyTorch does not look at the checksums in its own files: most flipped bits are loaded without a word. The SHA-256 stands
in the comment at the end of the zip archive that such a file is, so that there is one file, written as a whole or not
at all, and ``torch.load`` of anybody reads it.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from sa2_monai.io.atomic import atomic_write
from sa2_monai.io.digest import sha256_of
from sa2_monai.weights.read import read_safely

__all__ = ["has_checksum", "read_sealed", "write_sealed"]

_MARK = b"sa2_monai sha256 "
_COMMENT_SIZE = len(_MARK) + 64
_END, _END_SIZE = b"PK\5\6", 22  # the last record of a zip archive; its last two bytes are the length of the comment


def write_sealed(
    path: str | os.PathLike[str], content: Mapping[str, Any], before_renaming: Callable[[], None] | None = None
) -> None:
    """Write a file with its checksum, as a whole or not at all.

    Args:
        path: the file; its folder is made when it is not there.
        content: tensors and plain values by name.
        before_renaming: called once the new file lies on the disk under a temporary name.

    Raises:
        OSError: when it cannot be written; the old file is kept.
    """

    def write(file: BinaryIO) -> None:
        torch.save(dict(content), file)
        file.seek(-2, os.SEEK_END)  # no comment so far
        file.write(_COMMENT_SIZE.to_bytes(2, "little"))
        file.flush()
        file.write(_MARK + sha256_of(Path(file.name), os.path.getsize(file.name)).encode())
        if before_renaming is not None:
            file.flush()
            before_renaming()

    atomic_write(path, write)


def read_sealed(path: str | os.PathLike[str]) -> Any:
    """Read a file of :func:`write_sealed`, or one that PyTorch has written without our checksum.

    Of the latter the checksums of the parts are compared, which leave out their names and what lies between them.

    Returns:
        Its content, on the CPU, never made by code of the file.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it cannot be read.
        ValueError: when it is damaged, no such file, or holds objects other than tensors and plain values.
    """
    path = Path(path)
    wanted = _stored(path) if path.is_file() else None
    if wanted is not None and sha256_of(path, path.stat().st_size - _COMMENT_SIZE) != wanted:
        raise ValueError(
            f"{path} is damaged: the SHA-256 of its {path.stat().st_size} bytes is not the one that was written into "
            "it. Restore it from a backup, and have the disk checked."
        )
    if wanted is None and (part := _bad_part(path)):
        raise ValueError(
            f"{path} is damaged: the checksum of its part {part} is wrong. Restore it from a backup, and have the disk "
            "checked."
        )
    return read_safely(path)


def has_checksum(path: str | os.PathLike[str]) -> bool:
    """Whether a file was written with a checksum."""
    return _stored(Path(path)) is not None


def _stored(path: Path) -> str | None:
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(size - _END_SIZE - _COMMENT_SIZE, 0))
        tail = file.read()
    if tail[-_COMMENT_SIZE:].startswith(_MARK):
        return tail[-_COMMENT_SIZE:][len(_MARK) :].decode("latin-1")
    at = tail.rfind(_END)
    if at >= 0 and any(tail[at + _END_SIZE - 2 : at + _END_SIZE]):  # PyTorch writes no comment
        raise ValueError(
            f"{path} is damaged: the checksum at its end is incomplete or altered. Restore it from a backup, and have "
            "the disk checked."
        )
    return None


def _bad_part(path: Path) -> str | None:
    """The first part of a zip archive whose checksum is wrong; what is no such archive, PyTorch will refuse."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None
