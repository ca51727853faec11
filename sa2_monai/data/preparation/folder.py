# SPDX-License-Identifier: Apache-2.0
"""The folder that ``sa2-monai datasets prepare`` writes: whose it is, what lies in it, its data lists.

::

    dataset.json     decathlon style: classes, terms, and the cases by part with paths relative to the folder
    manifest.json    data set, form, options, version, SHA-256 of every source and output; written last
    .prepare/        what is finished so far, so that an interrupted preparation goes on
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sa2_monai.data.layouts.cases import Parts
from sa2_monai.data.layouts.dataset_json import decathlon_parts
from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.problems import listing

__all__ = [
    "DESCRIPTION",
    "MANIFEST",
    "WORK",
    "claimed_folder",
    "object_bytes",
    "prepared_parts_of",
    "read_object",
    "write_object",
]

logger = logging.getLogger(__name__)

DESCRIPTION, MANIFEST, WORK = "dataset.json", "manifest.json", ".prepare"
_SETTINGS = "settings.json"
_AGAIN = "run the same 'sa2-monai datasets prepare' again, it goes on where it stopped"


@contextmanager
def claimed_folder(out: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Have a folder for one preparation, alone: a new one, or that of the same preparation begun before.

    Args:
        out: the folder, made if missing.
        settings: data set, form and options, as JSON has them.

    Raises:
        FileExistsError: the folder holds other files, or another preparation.
        NotADirectoryError: it is a file.
        OSError: it cannot be made or written.
        RuntimeError: another process is writing to it.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out}: is a file, expected a folder for the preparation; choose another name")
    path = out / WORK / _SETTINGS
    if path.is_file():
        former = read_object(path) or {}
        if former != settings:
            raise FileExistsError(
                f"{out}: holds another preparation ({_listed(former)}), expected {_listed(settings)}; choose another "
                "folder, or remove this one"
            )
    elif out.is_dir() and (others := sorted(p.name for p in out.iterdir() if p.name != WORK)):
        raise FileExistsError(f"{out}: holds other files ({listing(others, 5)}); choose an empty or new folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_object(path, settings)
        path.with_name("lock").touch()
    except OSError as error:
        reason = error.strerror or error
        raise OSError(error.errno, f"{out}: cannot be written ({reason}); choose another folder") from error
    with open(path.with_name("lock"), "a") as lock:
        _lock(lock, out)
        yield


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value!r}" for key, value in settings.items() if value is not None)


def _lock(file: IO[str], out: Path) -> None:
    """Keep other processes out until the file is closed; where the system has no locks, nothing is kept out."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(f"{out}: another process is preparing this folder; wait until it has finished") from None
    except (ImportError, OSError) as error:  # Windows; some network file systems
        logger.debug("%s: cannot be locked (%s)", out, error)


def prepared_parts_of(directory: Path, name: str) -> Parts | None:
    """Data lists of a folder that ``sa2-monai datasets prepare`` wrote.

    Args:
        directory: the folder.
        name: the data set that was prepared.

    Returns:
        Cases by part with absolute paths; ``None`` where the folder is no preparation of that data set.

    Raises:
        ValueError: the preparation is not finished, or its list is damaged.
    """
    manifest = read_object(directory / MANIFEST)
    if manifest is None:
        settings = read_object(directory / WORK / _SETTINGS)
        if settings is not None and settings.get("dataset") == name:
            raise ValueError(f"{directory}: the preparation of {name!r} is not finished; {_AGAIN}")
        return None
    if manifest.get("dataset") != name or "form" not in manifest:
        return None
    return decathlon_parts(directory)


def read_object(path: Path) -> dict[str, Any] | None:
    """Content of a JSON file; ``None`` where there is none, or it holds no object.

    Args:
        path: the file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def object_bytes(content: dict[str, Any]) -> bytes:
    """The bytes of a JSON file.

    Args:
        content: what it holds.
    """
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def write_object(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file at once; one that holds the same already stays as it is.

    Args:
        path: the file.
        content: what it is to hold.

    Raises:
        OSError: it cannot be written.
    """
    text = object_bytes(content)
    if not path.is_file() or path.read_bytes() != text:
        write_atomically(path, text)
