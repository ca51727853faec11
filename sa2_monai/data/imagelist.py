# SPDX-License-Identifier: Apache-2.0
"""Images to predict: one file, a folder, a list of paths, or a text file with one path per line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.folders import pictures_in
from sa2_monai.io.images.read import PICTURE_SUFFIXES
from sa2_monai.io.problems import Problems, listing

__all__ = ["list_images", "read_paths"]

_SUFFIXES = listing(list(PICTURE_SUFFIXES))
_LABEL_FOLDERS = ("labels", "instances", "masks", "labelcol")
_CHANNEL = re.compile(r"(.+)_(\d{4})")


def list_images(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], in_channels: int | None = None
) -> list[dict[str, Any]]:
    """Data list for inference.

    Args:
        source: a picture; a folder of pictures (or a data set with ``images/``, whose label folders are left out); a
            ``.txt`` file with one path per line, relative to its own folder; or a list of pictures.
        in_channels: channels of the network. With another number than 1 or 3, which no picture holds, the files
            ``<case>_0000.png``, ``<case>_0001.png`` and so on (nnU-Net's names) are one image, their channels in the
            order of the numbers, and ``image`` is the list of them.

    Returns:
        List of ``{"image": absolute path, "case": file stem}``; folders sorted by name, lists in their own order.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: no images, a file that is no picture, two images that would get one case name, or numbered files of
            which some are missing.
    """
    if isinstance(source, (str, os.PathLike)):
        where = Path(source)
        if where.is_dir():
            paths = _from_folder(where)
        elif where.suffix.lower() == ".txt":
            paths = read_paths(where)
        else:
            paths = [where]
        name = str(source)
    else:
        paths, name = [Path(item) for item in source], "list of images"
    if not paths:
        raise ValueError(f"{name}: no images found; expected {_SUFFIXES} files")
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{name}: no such image: {listing(missing)}; check the path")
    wrong = [str(path) for path in paths if path.suffix.lower() not in PICTURE_SUFFIXES or path.is_dir()]
    if wrong:
        raise ValueError(f"{name}: not a picture by its suffix: {listing(wrong)}; expected {_SUFFIXES}")
    problems = Problems(name)
    cases: dict[str, dict[int, Path]] = {}
    for path in paths:
        match = _CHANNEL.fullmatch(path.stem) if in_channels not in (None, 1, 3) else None
        case, channel = (match[1], int(match[2])) if match else (path.stem, 0)
        other = cases.setdefault(case, {}).setdefault(channel, path)
        if other is not path:
            problems.add(
                "images that would get one case name, and so one output file",
                f"{case}: {other} and {path}",
                "rename one of them, or predict them in separate runs",
            )
    count = max(map(len, cases.values()))
    for case, files in cases.items():
        if sorted(files) != list(range(count)):
            problems.add(
                f"images without the files 0 to {count - 1}",
                f"{case}: has {listing([path.name for path in files.values()])}",
                "add the missing files <case>_0000, <case>_0001, ..., the same number for every image",
            )
    problems.raise_if_any()
    images = {case: [os.path.abspath(files[i]) for i in sorted(files)] for case, files in cases.items()}
    return [{"image": files[0] if len(files) == 1 else files, "case": case} for case, files in images.items()]


def _from_folder(folder: Path) -> list[Path]:
    paths = [path for path in pictures_in(folder) if not _is_annotation(path)]
    if paths:
        return paths
    for name in ("images", "img"):
        if (folder / name).is_dir():
            return pictures_in(folder / name)
    inside = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name not in _LABEL_FOLDERS)
    hint = f"; it has the folders {listing(inside)}, give one of them" if inside else ""
    raise ValueError(f"{folder}: no images found, expected {_SUFFIXES} files or a folder images/{hint}")


def _is_annotation(path: Path) -> bool:
    """Label that lies beside its image, as in GlaS (``x_anno.bmp`` beside ``x.bmp``)."""
    stem = path.stem.removesuffix("_anno")
    return stem != path.stem and any((path.parent / f"{stem}{suffix}").exists() for suffix in PICTURE_SUFFIXES)


def read_paths(path: Path) -> list[Path]:
    """Paths in a text file, one per line, relative to its own folder; empty lines and ``#`` comments are left out.

    Args:
        path: the text file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a text file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such list of images; check the path")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not a text file ({error.reason}); expected one image path per line") from error
    names = [line.strip() for line in lines]
    return [path.parent / name for name in names if name and not name.startswith("#")]
