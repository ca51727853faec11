# SPDX-License-Identifier: Apache-2.0
"""The files of a folder and of the folders in it: what is used, and a count of what is not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.problems import listing
from sa2_monai.io.text import printable

__all__ = ["LABEL_ENDINGS", "LeftOut", "is_label_folder", "labels_beside", "unused_files", "walk"]

#: Label maps that lie beside their image, by the end of their name: GlaS, ISIC, ACDC, and what people write.
LABEL_ENDINGS = ("_anno", "_seg", "_segmentation", "_superpixels", "_gt", "_label", "_labels", "_mask")
# Folders of label maps in data sets and of results: whole names, their ends, and some beginnings.
_LABELS = re.compile(
    r"(.*[ _-])?(labels?(col|tr|ts)?|instances?|masks?|annotations?|ground[ _-]?truths?|gt|seg(mentation)?s?|"
    r"predictions|overlays)|(labels?|masks?|annotations?|ground[ _-]?truths?|gt)[ _-].*",
    re.IGNORECASE,
)
# Made by file managers and archives; nobody misses them.
_IGNORED = ("__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information")
#: Marks the folder of an earlier prediction.
_RESULTS = "predict_summary.json"
# Files of images in nnU-Net's folders: where there are test cases, the training cases are not predicted.
_FIRST, _SECOND = "imagesTs", "imagesTr"


class LeftOut:
    """What was found and not used, by kind."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, kind: str, name: str) -> None:
        """Note a file or folder.

        Args:
            kind: in words, such as ``"folder"``, or a suffix.
            name: of the file or folder.
        """
        self._found.setdefault(kind, []).append(name)

    def add_file(self, path: Path) -> None:
        """Note a file by its suffix."""
        name = path.name.lower()
        suffix = next((suffix for suffix in VOLUME_SUFFIXES if name.endswith(suffix)), path.suffix.lower())
        self.add(suffix or "file without a suffix", path.name)

    def update(self, other: LeftOut) -> None:
        """Take over what another one has."""
        for kind, names in other._found.items():
            self._found.setdefault(kind, []).extend(names)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __str__(self) -> str:
        """``left out: 3 .svs, 2 folders (labels, masks)``; empty where there is nothing."""
        return f"left out: {', '.join(map(self._of_kind, self._found))}" if self._found else ""

    def clause(self) -> str:
        """The same as the end of a sentence: ``; left out: ...``, or nothing."""
        return f"; {self}" if self else ""

    def _of_kind(self, kind: str) -> str:
        names = self._found[kind]
        if kind.startswith("."):  # of files the suffix says enough
            return f"{len(names)} {printable(kind)}"
        first, space, rest = kind.partition(" ")
        many = f"{first}{'s' if len(names) > 1 else ''}{space}{rest}"
        return f"{len(names)} {many} ({listing([printable(name) for name in names], limit=3)})"


def is_label_folder(name: str) -> bool:
    """Whether a folder of this name holds label maps or results, not images."""
    return _LABELS.fullmatch(name) is not None


def labels_beside(files: Sequence[Path], stem_of: Callable[[Path], str]) -> set[Path]:
    """Files of one folder that are the label maps of others in it.

    Args:
        files: image files.
        stem_of: name without suffix, and without the number of a channel.
    """
    stems = {stem_of(path) for path in files}
    return {
        path
        for path in files
        for ending in LABEL_ENDINGS
        if stem_of(path).endswith(ending) and stem_of(path).removesuffix(ending) in stems
    }


def unused_files(folder: Path, used: Iterable[str | os.PathLike[str]]) -> LeftOut:
    """What lies in the folder of a data set and is not part of it.

    Args:
        folder: an existing folder.
        used: files of the data set.
    """
    left_out = LeftOut()
    known = {os.path.realpath(path) for path in used}
    for _, files in walk(folder, left_out, images_only=False):
        for path in files:
            if os.path.realpath(path) not in known:
                left_out.add_file(path)
    return left_out


def walk(folder: Path, left_out: LeftOut, images_only: bool = True) -> Iterator[tuple[Path, list[Path]]]:
    """Folders with their files, from the top down in the order of their names; links are followed, loops are not.

    Hidden files and folders, and what file managers leave behind, are passed over.

    Args:
        folder: an existing folder; it is used whatever its name is.
        left_out: takes what is left out.
        images_only: leave out folders of label maps and of results.

    Yields:
        A folder and the files in it.

    Raises:
        OSError: the folder itself cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            status = os.stat(place)
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            if place == folder:
                raise
            left_out.add("folder that cannot be read", place.name)
            continue
        if (status.st_dev, status.st_ino) in seen:  # by another way
            continue
        seen.add((status.st_dev, status.st_ino))
        used = [entry for entry in entries if not _ignored(entry.name)]
        if images_only and place != folder and any(entry.name == _RESULTS for entry in used):
            left_out.add("folder of results", place.name)
            continue
        files: list[Path] = []
        folders: list[tuple[bool, Path]] = []
        for entry in used:
            if entry.is_dir():
                folders.append((entry.is_symlink(), place / entry.name))
            elif entry.is_file():
                files.append(place / entry.name)
            else:
                left_out.add("broken link" if entry.is_symlink() else "special file", entry.name)
        yield place, files
        # Links last: what they point to may lie here, too.
        inside = [path for _, path in sorted(folders)]
        waiting.extend(reversed(_images_of(inside, left_out) if images_only else inside))


def _images_of(folders: list[Path], left_out: LeftOut) -> list[Path]:
    names = {path.name for path in folders}
    kept = []
    for path in folders:
        if is_label_folder(path.name) or (path.name == _SECOND and _FIRST in names):
            left_out.add("folder", path.name)
        else:
            kept.append(path)
    return kept


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in _IGNORED
