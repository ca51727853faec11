# SPDX-License-Identifier: Apache-2.0
"""Other files that a file names for its voxels: read in its own folder only.

A header is a text that anybody writes. It could name any file of the machine, whose bytes would then come out as an
image, or as a mask that is sent back.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["check_beside", "is_beside"]


def is_beside(path: Path, named: str | os.PathLike[str]) -> bool:
    """Whether a file lies in the folder of another one or below, links followed.

    Args:
        path: the file that names the other. It may be a link itself: the folder of what it leads to counts, too.
        named: the other one; a relative name starts from the folder of ``path``.
    """
    target = os.path.realpath(path.parent / named)
    folders = os.path.realpath(path.parent), os.path.dirname(os.path.realpath(path))
    return any(target.startswith(os.path.join(folder, "")) for folder in folders)


def check_beside(path: Path, named: str | os.PathLike[str]) -> None:
    """Refuse a data file elsewhere than in the folder of the header; nothing of it is opened.

    Args:
        path: the file that names the other.
        named: the other one, as it stands there.

    Raises:
        ValueError: it lies elsewhere: by an absolute path, ``..`` or a link, or its name has a zero in it.
    """
    name = os.fspath(named)
    if "\0" in name or not is_beside(path, name):
        raise ValueError(
            f"{path}: takes its voxels from {name!r}, outside of its own folder, expected a data file beside it; such "
            "files are not opened: put it there, and let the header name it without a path"
        )
