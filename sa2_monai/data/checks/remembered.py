# SPDX-License-Identifier: Apache-2.0
"""What earlier checks have found in files, so that a file which has not changed is not decoded again to be checked.

Facts of files are remembered (sizes, numbers of pixels by value), no judgement on them: label settings and options act
on the facts, and are no part of the memory. It is in ``checked`` of the user's cache (``SA2_MONAI_CACHE``), holds no
names of files, and can be removed at any time; ``SA2_MONAI_CHECKED=0`` leaves it alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sa2_monai.io.atomic import write_json
from sa2_monai.io.folders import user_cache
from sa2_monai.version import __version__

__all__ = ["RememberedFacts"]

# Whole files in one; not `.mhd` or `.hdr`, whose voxels are in another file, and not folders.
_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".dcm", ".npy")
_SUFFIXES = (*_IMAGES, ".npz", ".h5", ".nii", ".nii.gz", ".nrrd", ".mha")
# They decode: what one version says, the next one may say in another way.
_READERS = ("numpy", "pillow", "tifffile", "imagecodecs", "nibabel", "SimpleITK", "pydicom", "h5py")
_FORM = 1
# Seconds: a file that is younger may change once more without another time in its directory entry.
_YOUNG = 3.0
_MOST = 20000  # facts in each of 16 files; the oldest go


class RememberedFacts:
    """Facts of files by path, size and time of change, from one run of the program to the next.

    Args:
        folder: where they are; that of the user's cache by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = user_cache() / "checked" if folder is None else folder
        self._on = os.environ.get("SA2_MONAI_CHECKED") != "0"
        self._readers = ""
        self._known: dict[str, dict[str, Any]] = {}
        self._fresh: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def state(self, path: str) -> list[int] | None:
        """What the file is now; ``None`` for a file that cannot be remembered.

        Args:
            path: the file.
        """
        if not self._on or not path.lower().endswith(_SUFFIXES):
            return None
        try:
            found = os.stat(path)
        except OSError:
            return None
        changed = max(found.st_mtime, found.st_ctime)
        if not os.path.isfile(path) or not changed < time.time() - _YOUNG:
            return None
        return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]

    def find(self, path: str, what: str, state: list[int] | None) -> Any:
        """Facts of a file in this state; ``None`` where there are none.

        Args:
            path: the file.
            what: which facts.
            state: see :meth:`state`.
        """
        if state is None:
            return None
        key = self._key(path, what)
        with self._lock:
            entry = self._shard(key[0]).get(key)
        return entry[1] if isinstance(entry, list) and len(entry) == 2 and entry[0] == state else None

    def add(self, path: str, what: str, state: list[int] | None, facts: Any) -> None:
        """Remember facts, unless the file has changed while it was read.

        Args:
            path: the file.
            what: which facts.
            state: of the file before it was read.
            facts: what JSON can hold.
        """
        if state is None or self.state(path) != state:
            return
        key = self._key(path, what)
        with self._lock:
            self._fresh.setdefault(key[0], {})[key] = [state, facts]

    def save(self) -> None:
        """Write what is new; a cache that cannot be written is none."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        for name, entries in fresh.items():
            with suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                merged = {**self._read(name), **entries}  # others may have written in the meantime
                kept = dict(list(merged.items())[-_MOST:])
                write_json(self.folder / f"{name}.json", {"form": _FORM, "facts": kept})
                self._known[name] = kept

    def _shard(self, name: str) -> dict[str, Any]:
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            return dict(found["facts"]) if found["form"] == _FORM else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _key(self, path: str, what: str) -> str:
        self._readers = self._readers or " ".join([__version__, *map(_version, _READERS)])
        text = "\0".join((self._readers, os.path.realpath(path), what))
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
