# SPDX-License-Identifier: Apache-2.0
"""The image files of a folder, each with what the folders above it say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sa2_monai.data.layouts.cases import PART_NAMES
from sa2_monai.data.layouts.channel_files import stem_of
from sa2_monai.data.layouts.discovery.words import FolderMeaning, folder_meaning, is_results_folder, label_names_of
from sa2_monai.data.layouts.folder_walk import LeftOut, walk
from sa2_monai.io.dicom.files import is_dicom
from sa2_monai.io.images.read import IMAGE_SUFFIXES
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.problems import listing

__all__ = ["Item", "Listing", "list_items", "suffix_of"]


@dataclass(frozen=True)
class Item:
    """An image file, or the folder of a DICOM series.

    Attributes:
        path: the file or folder.
        folders: names of the folders between the data set's folder and the file.
        stem: name without suffix.
    """

    path: Path
    folders: tuple[str, ...]
    stem: str

    def meaning(self, loose: bool = False) -> tuple[str, str, str, tuple[str, ...]]:
        """Role, name of the folder that gives it, part, and the folders that say neither.

        Args:
            loose: see :func:`~sa2_monai.data.layouts.discovery.words.folder_meaning`.
        """
        meanings = [folder_meaning(name, loose) for name in self.folders]
        role = next(((m.role, name) for m, name in _deepest(meanings, self.folders) if m.role), ("", ""))
        part = next((m.part for m, _ in _deepest(meanings, self.folders) if m.part), "")
        rest = tuple(name for name, m in zip(self.folders, meanings, strict=True) if not (m.role or m.part))
        if loose and not role[0] and rest and any(label_names_of(self.stem)):  # contours/ct_mask.nii.gz
            return "label", rest[-1], part, rest[:-1]
        return role[0], role[1], part, rest


def _deepest(meanings: Sequence[FolderMeaning], folders: Sequence[str]) -> list[tuple[FolderMeaning, str]]:
    return list(zip(meanings, folders, strict=True))[::-1]


@dataclass
class Listing:
    """The image files of one kind, and what else there is.

    Attributes:
        directory: the data set's folder.
        kind: ``"images"`` or ``"volumes"``.
        items: sorted by path.
        others: number of files by suffix, of any kind.
        folders: names of the folders directly in ``directory``.
    """

    directory: Path
    kind: str
    items: list[Item] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    folders: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """What is there, in one line: numbers of files by type, names of folders."""
        files = [f"{number} {suffix}" for suffix, number in self.others.most_common(6)]
        folders = f"; folders {listing([f'{name}/' for name in self.folders], 8)}" if self.folders else ""
        return f"{', '.join(files) or 'no files'}{folders}"


def list_items(directory: Path, kind: str) -> Listing:
    """Image files of one kind below a folder; hidden files and what file managers leave behind are passed over.

    Args:
        directory: an existing folder.
        kind: ``"images"`` or ``"volumes"``, for which a folder of DICOM files is one item.

    Raises:
        ValueError: two folders stand for one part.
    """
    found = Listing(directory, kind)
    suffixes = IMAGE_SUFFIXES if kind == "images" else VOLUME_SUFFIXES
    for place, files in walk(directory, LeftOut(), images_only=False):
        folders = place.relative_to(directory).parts
        if len(folders) == 1:
            found.folders.append(folders[0])
        found.others.update(suffix_of(path) for path in files)
        if kind == "volumes" and folders and _is_series(files):  # its label may lie among the slices
            beside = any(path.name.lower().endswith(suffixes) for path in files)
            found.items.append(Item(place, folders if beside else folders[:-1], place.name))
        found.items += [Item(path, folders, stem_of(path)) for path in files if path.name.lower().endswith(suffixes)]
    for names in PART_NAMES.values():
        if set(names) <= set(found.folders) and len(names) > 1:
            raise ValueError(
                f"{directory}: has the folders {names[0]}/ and {names[1]}/, expected one of them; rename or merge"
            )
    own = [item for item in found.items if not any(map(is_results_folder, item.folders))]
    found.items = own or found.items
    found.items.sort(key=lambda item: str(item.path))
    return found


def suffix_of(path: Path) -> str:
    """Suffix in small letters; ``.nii.gz`` is one."""
    name = path.name.lower()
    return next((s for s in VOLUME_SUFFIXES if name.endswith(s)), path.suffix.lower()) or "without suffix"


def _is_series(files: Sequence[Path]) -> bool:
    """Whether there is a DICOM series among the files of a folder: several slices."""
    slices = [path for path in files if suffix_of(path) in (".dcm", ".dicom", ".ima", "without suffix")]
    return len(slices) > 1 and is_dicom(slices[0])
