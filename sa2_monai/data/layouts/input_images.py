# SPDX-License-Identifier: Apache-2.0
"""Images to predict: files, folders with what is in them, lists of paths, or text files with one path per line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.layouts.case_names import distinct_names
from sa2_monai.data.layouts.folder_walk import LeftOut, labels_beside, walk
from sa2_monai.io.dicom.files import is_dicom
from sa2_monai.io.images.formats import SLIDE_SUFFIXES
from sa2_monai.io.images.read import IMAGE_SUFFIXES
from sa2_monai.io.paths import existing_path
from sa2_monai.io.problems import Problems, listing

__all__ = ["Source", "images_in", "name_images", "of_list", "read_paths"]

_SUFFIXES = listing(list(IMAGE_SUFFIXES))
_CHANNEL = re.compile(r"(.+)_(\d{4})")


#: A file, folder or text file; a list of files; or a data list.
Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Sequence[Mapping[str, Any]]


def of_list(source: Sequence[Any]) -> tuple[list[dict[str, Any]], list[Path]]:
    """Copies of the cases of a data list, and no paths; or no cases and the paths of any other list.

    Args:
        source: the list.
    """
    if source and all(isinstance(item, Mapping) for item in source):
        return [dict(item) for item in source], []
    return [], [Path(item) for item in source]


def images_in(folder: Path, left_out: LeftOut) -> list[Path]:
    """Image files of a folder and of the folders in it.

    Args:
        folder: an existing folder.
        left_out: takes what is there and is no image.

    Raises:
        ValueError: there are none.
    """
    found: list[Path] = []
    for _, files in walk(folder, left_out):
        images = [path for path in files if _is_image(path)]
        labels = labels_beside(images, _stem)
        found += [path for path in images if path not in labels]
        for path in files:
            if path in labels:
                left_out.add("label beside an image", path.name)
            elif path not in images:
                left_out.add_file(path)
    if not found:
        raise ValueError(
            f"{folder}: no images found, expected {_SUFFIXES} files, or folders with them{left_out.clause()}"
        )
    return found


def name_images(paths: Iterable[Path], in_channels: int | None, source: str) -> list[dict[str, Any]]:
    """Cases of image files; see :func:`sa2_monai.data.list_images` for what it returns and raises.

    Args:
        paths: image files.
        in_channels: see there.
        source: where they come from, for messages.
    """
    paths = [existing_path(path) for path in paths]
    if not paths:
        raise ValueError(f"{source}: no images found; expected {_SUFFIXES} files")
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{source}: no such image: {listing(missing)}; check the path")
    wrong = [str(path) for path in paths if path.is_dir() or not _is_image(path)]
    if wrong:
        raise ValueError(f"{source}: not an image by its suffix: {listing(wrong)}; expected {_SUFFIXES}")
    problems = Problems(source)
    stems = [_stem(path) for path in paths]
    grouped = in_channels not in (None, 1, 3)
    matches = [_CHANNEL.fullmatch(stem) if grouped else None for stem in stems]
    numbers = [int(match[2]) if match else 0 for match in matches]
    stems = [match[1] if match else stem for match, stem in zip(matches, stems, strict=True)]
    names = distinct_names(stems, paths, numbers)
    cases: dict[str, dict[int, Path]] = {}
    for path, number, case in zip(paths, numbers, names, strict=True):
        other = cases.setdefault(case, {}).setdefault(number, path)
        if other is not path:
            problems.add(
                "images that would get one case name, and so one output file",
                f"{case}: {other} and {path}",
                "rename one of them, or predict them in separate runs",
            )
    whole = {case for match, case in zip(matches, names, strict=True) if match is None}  # all channels in one file
    count = max((len(files) for case, files in cases.items() if case not in whole), default=1)
    for case, files in cases.items():
        if case not in whole and sorted(files) != list(range(count)):
            problems.add(
                f"images without the files 0 to {count - 1}",
                f"{case}: has {listing([path.name for path in files.values()])}",
                "add the missing files <case>_0000, <case>_0001, ..., the same number for every image",
            )
    problems.raise_if_any()
    images = {case: [os.path.abspath(files[i]) for i in sorted(files)] for case, files in cases.items()}
    return [{"image": files[0] if len(files) == 1 else files, "case": case} for case, files in images.items()]


def _is_image(path: Path) -> bool:
    if path.suffix.lower() in (*IMAGE_SUFFIXES, *SLIDE_SUFFIXES):
        return True
    # Cameras that write DICOM give names without a suffix.
    return path.name.upper() != "DICOMDIR" and path.is_file() and is_dicom(path)


def _stem(path: Path) -> str:
    """Name without the suffix of an image; DICOM files may be named by a number with dots."""
    return path.stem if path.suffix.lower() in (*IMAGE_SUFFIXES, *SLIDE_SUFFIXES) else path.name


def read_paths(path: Path) -> list[Path]:
    """Paths in a text file, one per line, relative to its own folder; empty lines and ``#`` comments are left out.

    A line that names a file as it stands is that file, also with a ``#`` or a space in front.

    Args:
        path: the text file, in UTF-8 but for names that are in no encoding.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a text file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such list of images; check the path")
    content = path.read_bytes()
    if b"\0" in content:
        raise ValueError(f"{path}: is not a text file in UTF-8; expected one image path per line")
    found = []
    for line in content.decode("utf-8-sig", "surrogateescape").split("\n"):
        whole, name = line.rstrip("\r"), line.strip()
        if whole and os.path.lexists(path.parent / whole):
            found.append(path.parent / whole)
        elif name and not name.startswith("#"):
            found.append(path.parent / name)
    return found
