# SPDX-License-Identifier: Apache-2.0
"""Folders of generated data: made beside their place and moved in, stamped, reused, never mixed with other files."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.digest import sha256_of
from sa2_monai.io.ownership import claim_folder, is_claim
from sa2_monai.io.problems import listing
from sa2_monai.io.workplace import workplace

__all__ = ["PARTS", "PREFIX", "check_numbers", "is_current", "make_folder"]

logger = logging.getLogger(__name__)

#: Parts of a generated set; the place is the number that the random streams take.
PARTS = ("training", "validation", "test")
#: Short names of the parts, for files.
PREFIX = {"training": "train", "validation": "val", "test": "test"}

_STAMP = ".sa2_monai_sample.json"
_UNFINISHED = "unfinished"


def check_numbers(seed: int, counts: Mapping[str, int], what: str) -> None:
    """Check the seed and the numbers of cases.

    Args:
        seed: seed of ``numpy.random.RandomState``.
        counts: number of cases by part.
        what: what the cases are, for the message.

    Raises:
        ValueError: out of range.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}, expected 0 to {2**32 - 1}")
    if counts["training"] < 1 or min(counts.values()) < 0:
        raise ValueError(f"numbers of {what} are {dict(counts)}, expected at least 1 for training and none negative")


def make_folder(
    folder: Path,
    parameters: dict[str, Any],
    write: Callable[[Path], str],
    force: bool = False,
) -> Path:
    """Make a folder of generated data, or reuse it if the same one is there.

    Everything is made beside the folder and moved in at the end: an interrupted run leaves nothing.

    Args:
        folder: the folder, made if missing.
        parameters: all that the data depend on, as JSON has it.
        write: fills a fresh folder and returns the checksum of the pixels (not of the files: compressors differ between
            machines, pixels do not).
        force: write even if the folder holds something else. Files of a former set are removed, others stay.

    Returns:
        The folder.

    Raises:
        FileExistsError: the folder holds something else, or a damaged or different set.
        FolderInUseError: another program writes there.
        OSError: the folder cannot be written.
    """
    if is_current(folder, parameters):
        logger.info("%s: the sample of seed %d is complete and reused", folder, parameters["seed"])
        return folder
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder}: is a file, expected a folder for the sample; choose another name")
    former = _read_stamp(folder)
    unfinished = former is not None and former.get(_UNFINISHED, False)
    there = [path for path in folder.iterdir() if not is_claim(path)] if folder.is_dir() else []
    if there and not (force or unfinished):
        what = "a damaged sample" if former and former.get("parameters") == parameters else "other files"
        what = "a sample of other parameters" if former and former.get("parameters") != parameters else what
        raise FileExistsError(
            f"{folder}: holds {what} ({listing(sorted(p.name for p in there), 5)}); choose an empty folder, "
            "or write into it with force (--force)"
        )
    fresh = not folder.exists()
    with workplace(folder, "sample") as place:
        made = place / folder.name
        made.mkdir()
        try:
            with claim_folder(folder, "sample"):
                _write_stamp(made, parameters, write(made))
                if not fresh:
                    _move_in(made, folder, former)
            if fresh:
                folder.rmdir()  # empty, or another program has just claimed it
                os.rename(made, folder)
        finally:
            if fresh:
                with contextlib.suppress(OSError):
                    folder.rmdir()
    return folder


def is_current(folder: Path, parameters: dict[str, Any]) -> bool:
    """Whether a folder holds the data of these parameters, every file with its checksum.

    Args:
        folder: the folder.
        parameters: see :func:`make_folder`.
    """
    stamp = _read_stamp(folder)
    if stamp is None or stamp.get(_UNFINISHED) or stamp.get("parameters") != parameters:
        return False
    return all((folder / name).is_file() and sha256_of(folder / name) == sha for name, sha in stamp["sha256"].items())


def _write_stamp(folder: Path, parameters: dict[str, Any], pixels: str) -> None:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    stamp = {
        "parameters": parameters,
        "pixels_sha256": pixels,
        "sha256": {name: sha256_of(folder / name) for name in files},
    }
    write_atomically(folder / _STAMP, (json.dumps(stamp, indent=1) + "\n").encode())


def _move_in(made: Path, folder: Path, former: dict[str, Any] | None) -> None:
    """Put the finished sample in place; the stamp comes last and vouches for the rest.

    Until then another one says whose files these are, should the program be killed.
    """
    if former is not None:
        (folder / _STAMP).unlink(missing_ok=True)
        for name in former.get("sha256", {}):
            if not Path(name).is_absolute() and ".." not in Path(name).parts:
                (folder / name).unlink(missing_ok=True)
    stamp = made / _STAMP
    document = {**json.loads(stamp.read_text(encoding="utf-8")), _UNFINISHED: True}
    write_atomically(folder / _STAMP, json.dumps(document) + "\n")
    for path in sorted(p for p in made.rglob("*") if p.is_file() and p != stamp):
        target = folder / path.relative_to(made)
        target.parent.mkdir(exist_ok=True)
        os.replace(path, target)
    os.replace(stamp, folder / _STAMP)


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and isinstance(stamp.get("sha256"), dict) else None
