# SPDX-License-Identifier: Apache-2.0
"""Folders as zip files whose bytes depend on the content alone."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from pathlib import Path

from sa2_monai.io.atomic import atomic_write

__all__ = ["zip_folder"]

_TIME = (1980, 1, 1, 0, 0, 0)  # the first that the format knows
_UNIX = 3
_MODE = (stat.S_IFREG | 0o644) << 16


def zip_folder(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Write all files of a folder to a zip file, sorted, below the folder's name; the same content, the same bytes.

    Files are stored as they are: weights hardly shrink, and versions of zlib differ.

    Args:
        folder: the folder.
        path: the zip file.

    Raises:
        OSError: when it cannot be written; the old one is untouched then.
    """
    folder = Path(folder)
    files = sorted((file.relative_to(folder).as_posix(), file) for file in folder.rglob("*") if file.is_file())

    def write(out: object) -> None:
        with zipfile.ZipFile(out, "w") as archive:  # type: ignore[call-overload]
            for name, file in files:
                entry = zipfile.ZipInfo(f"{folder.name}/{name}", _TIME)
                entry.create_system, entry.external_attr = _UNIX, _MODE
                entry.file_size = file.stat().st_size
                with file.open("rb") as source, archive.open(entry, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 20)

    atomic_write(path, write)
