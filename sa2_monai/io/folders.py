# SPDX-License-Identifier: Apache-2.0
"""Output folders, looked at before any work is done, and the folder of what can be made again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sa2_monai.io.paths import check_output_path

__all__ = ["check_writable", "user_cache"]


def check_writable(directory: str | os.PathLike[str]) -> Path:
    """Make an output folder and prove, by writing, that files can be made in it.

    Permission bits do not tell the truth on read-only or network file systems, so a temporary file is made and removed.

    Args:
        directory: folder, made with its parents when it is not there.

    Returns:
        The folder as a path.

    Raises:
        OSError: if the folder cannot be made or written to (the subclass that the system gave, ``PermissionError`` for
            instance); the message names the folder and the hint.
        ValueError: MONAI's command line has changed the name of the folder.
    """
    check_output_path(directory)
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=".sa2-monai-"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise type(error)(
            f"cannot write to the output folder {path} ({reason}). Choose another folder, or make this one writable."
        ) from error
    return path


def user_cache() -> Path:
    """Where this package keeps what it can make again: ``SA2_MONAI_CACHE``, else ``sa2_monai`` in the user's cache."""
    own = os.environ.get("SA2_MONAI_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sa2_monai"
