# SPDX-License-Identifier: Apache-2.0
"""Names for libraries that take UTF-8 only. SimpleITK ends the whole process at a name that is none."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["utf8_name"]

_count = itertools.count()
_folders: dict[int, Path] = {}
# Headers that name the file of their voxels, which lies beside them.
_DETACHED = (".mhd", ".nhdr")


def utf8_name(path: str | os.PathLike[str]) -> str:
    """A name of a file that is text: its own, or a link to it.

    Args:
        path: an existing file, for a library that opens it by name.

    Returns:
        The path; where that has bytes that are no UTF-8, the path of a symbolic link in a folder of the process, which
        goes at its end.

    Raises:
        OSError: the system has no links.
    """
    path = Path(path)
    if _is_text(str(path)):
        return str(path)
    place = _folder() / str(next(_count))
    whole = path.absolute()
    if _is_text(path.name):
        place.symlink_to(whole.parent, target_is_directory=True)
        return str(place / path.name)
    place.mkdir()
    name = f"file{path.suffix}" if _is_text(path.suffix) else "file"
    if path.suffix.lower() in _DETACHED:
        for sibling in whole.parent.iterdir():
            if sibling != whole and _is_text(sibling.name) and sibling.name != name:
                (place / sibling.name).symlink_to(sibling)
    (place / name).symlink_to(whole)
    return str(place / name)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _folder() -> Path:
    """Folder of this process; a forked one has its own."""
    pid = os.getpid()
    if pid not in _folders:
        _folders[pid] = Path(tempfile.mkdtemp(prefix="sa2_monai_names_"))
        atexit.register(shutil.rmtree, _folders[pid], ignore_errors=True)
    return _folders[pid]
