# SPDX-License-Identifier: Apache-2.0
"""Names of files: suffixes of volumes, case names, files of a folder, names that are not too long."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

__all__ = ["PAIRS", "VOLUME_SUFFIXES", "file_name", "same_forms", "volume_stem", "volumes_in"]

T = TypeVar("T")
#: Suffixes of files that hold a volume; ``.nii.gz`` counts as one.
VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
#: Suffixes of volumes in two files, which are not read.
PAIRS = (".hdr", ".img", ".hdr.gz", ".img.gz")


def volume_stem(path: str | os.PathLike[str]) -> str:
    """File name without folder and suffix: ``ct_01`` for ``scans/ct_01.nii.gz``, also of a DICOM file or folder.

    Args:
        path: file or folder.
    """
    name = Path(path).name
    for suffix in (*VOLUME_SUFFIXES, ".dcm"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def volumes_in(folder: Path) -> list[Path]:
    """Volume files of a folder, sorted by name; hidden files (macOS leaves ``._x.nii.gz``) are left out.

    Args:
        folder: an existing folder.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(VOLUME_SUFFIXES) and not path.name.startswith(".") and path.is_file()
    )


def file_name(stem: str, suffix: str, limit: int = 255) -> str:
    """A file name of a stem and a suffix, cut where file systems have no room for it.

    Args:
        stem: name without suffix.
        suffix: what must stand at the end.
        limit: bytes of the name.

    Returns:
        Both together; of a name that is too long as much of the stem as there is room for, with eight digits of its
        SHA-256, so that other stems get other names.
    """
    name = os.fsencode(stem)
    if len(name) + len(os.fsencode(suffix)) <= limit:
        return stem + suffix
    digest = f"~{hashlib.sha256(name).hexdigest()[:8]}"
    room = limit - len(os.fsencode(suffix)) - len(digest)
    return f"{name[:room].decode('utf-8', 'ignore')}{digest}{suffix}"


def same_forms(table: Mapping[str, T], names: Iterable[str]) -> dict[str, T]:
    """A table with the names of another one, where they are the same letters in another Unicode form.

    Apple's file systems, and archives made there, write accented letters in two characters, others in one.

    Args:
        table: by name.
        names: of the other table.

    Returns:
        The table; a name that is not among ``names`` is replaced by the only one that differs by its form.
    """
    names = set(names)
    forms: dict[str, list[str]] = {}
    for name in names - table.keys():
        if not name.isascii():
            forms.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    found: dict[str, T] = {}
    for name, value in table.items():
        others = [] if name in names or name.isascii() else forms.get(unicodedata.normalize("NFC", name), [])
        found[others[0] if len(others) == 1 and others[0] not in found else name] = value
    return found
