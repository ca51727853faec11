# SPDX-License-Identifier: Apache-2.0
"""A folder that only its user can use."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

__all__ = ["private_folder"]

logger = logging.getLogger(__name__)


def private_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder for this user alone, or see that it is one; an own folder that others may read is closed to them.

    Returns:
        The folder, absolute.

    Raises:
        PermissionError: it belongs to another user, or others can write to it.
        NotADirectoryError: it is a file.
        OSError: it cannot be made.
    """
    folder = Path(os.path.abspath(path))
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"the cache folder {folder} is a file. Choose another cache_dir.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name != "posix":
        return folder
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise PermissionError(
            f"the cache folder {folder} belongs to the user with number {found.st_uid}, this program runs as "
            f"{os.geteuid()}: what lies in it may have been put there by somebody else. Choose another cache_dir."
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o022:
        raise PermissionError(
            f"the cache folder {folder} can be written by other users (mode {mode:04o}): what lies in it may have been "
            f"put there by somebody else. Choose another cache_dir, or empty this one and close it: chmod 700 {folder}"
        )
    if mode & 0o077:
        logger.info("the cache folder %s could be read by other users (mode %04o); it is closed to them.", folder, mode)
        folder.chmod(0o700)
    return folder
