# SPDX-License-Identifier: Apache-2.0
"""Names of volume files: suffixes, case names, files of a folder."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PAIRS", "VOLUME_SUFFIXES", "volume_stem", "volumes_in"]

#: Suffixes of files that hold a volume; ``.nii.gz`` counts as one.
VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
#: Suffixes of volumes in two files, which are not read.
PAIRS = (".hdr", ".img", ".hdr.gz", ".img.gz")


def volume_stem(path: str | os.PathLike[str]) -> str:
    """File name without folder and suffix: ``ct_01`` for ``scans/ct_01.nii.gz``, also the name of a DICOM folder.

    Args:
        path: file or folder.
    """
    name = Path(path).name
    for suffix in VOLUME_SUFFIXES:
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
