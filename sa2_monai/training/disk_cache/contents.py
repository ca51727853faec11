# SPDX-License-Identifier: Apache-2.0
"""Which bytes a case is made of."""

from __future__ import annotations

import os
import re
from pathlib import Path
from threading import Lock
from typing import Any

from sa2_monai.weights import sha256_of

__all__ = ["FileHashes"]

# Headers that name the files with the voxels.
_HEADERS = (".mhd", ".nhdr", ".hdr", ".img")
_HEADER_SIZE = 1 << 16


class FileHashes:
    """SHA-256 of files, each read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}
        self._lock = Lock()

    def of(self, source: Any) -> list[list[str]]:
        """Names and hashes of all files that belong to an entry of a data list.

        Args:
            source: path of a file or of a folder (a series of DICOM), or a list of them.

        Raises:
            FileNotFoundError: when there is no such file.
            OSError: when one cannot be read.
            TypeError: for what is no path.
        """
        if isinstance(source, (list, tuple)):
            return [pair for part in source for pair in self.of(part)]
        path = Path(source)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            return [[str(file.relative_to(path)), self._hash(file)] for file in files]
        return [[os.path.relpath(file, path.parent), self._hash(file)] for file in [path, *_parts(path)]]

    def _hash(self, path: Path) -> str:
        with self._lock:
            known = self._known.get(path)
        if known is None:
            known = sha256_of(path)
            with self._lock:
                self._known[path] = known
        return known


def _parts(path: Path) -> list[Path]:
    """Files that a header names, or that share its name; all of its folder when it gives a pattern for their names."""
    if path.suffix.lower() not in _HEADERS:
        return []
    with open(path, "rb") as file:
        header = file.read(_HEADER_SIZE).decode("latin-1")
    beside = [file for file in path.parent.iterdir() if file.is_file()]
    found = {file for file in beside if file.name.split(".")[0] == path.name.split(".")[0]}
    for line in header.splitlines():
        value = re.split("[=:]", line, maxsplit=1)[-1].strip()
        if "%" in value:
            found.update(beside)
        elif 0 < len(value) < 255 and "\0" not in value and (path.parent / value).is_file():
            found.add(path.parent / value)
    return sorted(found - {path})
