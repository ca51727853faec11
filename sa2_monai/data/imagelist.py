# SPDX-License-Identifier: Apache-2.0
"""Images to predict: one file, a folder, a list of paths, or a text file with one path per line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sa2_monai.data.folders import pictures_in
from sa2_monai.data.pictures import PICTURE_SUFFIXES
from sa2_monai.data.problems import Problems, listing

__all__ = ["list_images", "read_paths"]

_SUFFIXES = listing(list(PICTURE_SUFFIXES))
_LABEL_FOLDERS = ("labels", "instances", "masks", "labelcol")


def list_images(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[dict[str, str]]:
    """Data list for inference.

    Args:
        source: a picture; a folder of pictures (or a data set with ``images/``, whose label folders are left out); a
            ``.txt`` file with one path per line, relative to its own folder; or a list of pictures.

    Returns:
        List of ``{"image": absolute path, "case": file stem}``; folders sorted by name, lists in their own order.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: no images, a file that is no picture, or two images that would get one case name.
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
    cases: dict[str, Path] = {}
    for path in paths:
        other = cases.setdefault(path.stem, path)
        if other is not path:
            problems.add(
                "images that would get one case name, and so one output file",
                f"{path.stem}: {other} and {path}",
                "rename one of them, or predict them in separate runs",
            )
    problems.raise_if_any()
    return [{"image": os.path.abspath(path), "case": case} for case, path in cases.items()]


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
