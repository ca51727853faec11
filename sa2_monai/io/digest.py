# SPDX-License-Identifier: Apache-2.0
"""What a file is: SHA-256 of files and folders, as 64 hexadecimal digits; size and time, which cost nothing."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

__all__ = ["digest_of", "file_state", "remembered_sha256", "sha256_of"]


def sha256_of(path: str | os.PathLike[str], size: int | None = None) -> str:
    """SHA-256 of a file as 64 hexadecimal digits.

    Args:
        path: the file.
        size: number of bytes from the start; ``None`` for all.

    Raises:
        OSError: when it cannot be read.
    """
    digest = hashlib.sha256()
    left = os.stat(path).st_size if size is None else size
    with open(path, "rb") as file:
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def remembered_sha256(path: str | os.PathLike[str]) -> str:
    """As :func:`sha256_of`, calculated again only when there is another file, or another :func:`file_state` of it.

    For files that are asked for again and again, such as the weights of a model that predicts image by image.

    Raises:
        OSError: when it cannot be read.
    """
    return _remembered(os.path.abspath(path), os.stat(path).st_ino, file_state(path))


@functools.lru_cache(maxsize=64)
def _remembered(path: str, number: int, state: tuple[int, int]) -> str:
    return sha256_of(path)


def file_state(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Bytes of a file and the time of its last change, in nanoseconds: another state is another content.

    Raises:
        OSError: when there is no such file.
    """
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def digest_of(path: str | os.PathLike[str]) -> str | None:
    """SHA-256 of a file; of a folder (DICOM) that of its files' hashes and names; ``None`` if it cannot be read."""
    path = Path(path)
    try:
        if not path.is_dir():
            return sha256_of(path)
        lines = [f"{sha256_of(file)}  {file.name}\n" for file in sorted(path.iterdir()) if file.is_file()]
    except OSError:
        return None
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
