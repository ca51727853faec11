# SPDX-License-Identifier: Apache-2.0
"""Bundles in zip files that may come from anywhere."""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path

from sa2_monai.io.limits.zips import check_expansion

__all__ = ["extract_bundle"]

_ENCRYPTED = 0x1
_MAX_FILES = 10_000


def extract_bundle(archive: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Path:
    """Extract a zipped bundle; nothing is written before every entry has been looked at.

    Args:
        archive: zip file with one bundle: a folder that holds ``configs/``, or ``configs/`` itself.
        directory: folder to extract to, new or empty.

    Returns:
        The folder of the bundle inside ``directory``.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no zip file or damaged; when an entry would be written outside ``directory``, is a link
            or another special file, is encrypted or there twice; when it would unpack to far
            more than it is, or there is not room for all; when no bundle or
            more than one is inside; or when ``directory`` is not empty.
    """
    archive, directory = Path(archive), Path(directory)
    if not archive.is_file():
        raise FileNotFoundError(f"{archive}: no such file; expected the zip file of a bundle")
    if directory.exists() and any(directory.iterdir()):
        raise ValueError(f"{directory} is not empty; extract a bundle to a new folder")
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
            _check(archive, entries)
            check_expansion(archive, file)
            root = _root(archive, entries)
            directory.mkdir(parents=True, exist_ok=True)
            _check_room(archive, entries, directory)
            for entry in entries:
                _extract(file, entry, directory)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{archive} is no zip file or is damaged ({error}). Copy or download it again.") from error
    return directory / root


def _check(archive: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > _MAX_FILES:
        raise ValueError(f"{archive} has {len(entries)} entries, a bundle has a few dozen: refused.")
    seen: set[str] = set()
    for entry in entries:
        # What zipfile made of the name, and the name as it is stored.
        for name in (entry.filename, entry.orig_filename):
            if reason := _danger(name):
                raise ValueError(f"{archive}: the entry {name!r} {reason}: refused, nothing was extracted.")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if stat.S_ISLNK(kind) else "a special file"
            raise ValueError(f"{archive}: the entry {entry.filename!r} is {what}: refused, nothing was extracted.")
        if entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{archive}: the entry {entry.filename!r} is encrypted; decrypt the file first.")
        name = entry.filename.rstrip("/").lower()  # as file systems see it that do not tell capitals
        if name in seen:
            raise ValueError(f"{archive}: the entry {entry.filename!r} is there twice: refused.")
        seen.add(name)


def _danger(name: str) -> str | None:
    if "\0" in name or "\\" in name:
        return "has a name with a backslash or a zero in it"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "has an absolute path"
    if any(part in ("", ".", "..") for part in name.rstrip("/").split("/")):
        return "leads out of the folder"
    return None


def _root(archive: Path, entries: list[zipfile.ZipInfo]) -> str:
    """Path inside of the archive below which ``configs/`` lies."""
    roots = {
        entry.filename.partition("configs/")[0]
        for entry in entries
        if re.fullmatch(r"(?:[^/]+/)?configs/inference\.(?:json|ya?ml)", entry.filename)
    }
    if len(roots) != 1:
        what = "no bundle" if not roots else f"{len(roots)} bundles"
        raise ValueError(f"{archive} holds {what}; expected one folder with configs/inference.json in it.")
    return roots.pop()


def _check_room(archive: Path, entries: list[zipfile.ZipInfo], directory: Path) -> None:
    size, free = sum(entry.file_size for entry in entries), shutil.disk_usage(directory).free
    if size > free:
        raise ValueError(f"{archive} holds {size:,} bytes, but {directory} has room for {free:,}. Free space first.")


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, directory: Path) -> None:
    target = directory / entry.filename
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # zipfile gives no more bytes than were announced, and compares their checksum.
    with file.open(entry) as source, open(target, "xb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
