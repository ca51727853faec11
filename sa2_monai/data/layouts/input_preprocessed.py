# SPDX-License-Identifier: Apache-2.0
"""Preprocessed files of the literature (.npz, .h5) to predict: files, folders, lists, or a text file with paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.data.layouts.input_images import Source, read_paths
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.paths import existing_path
from sa2_monai.io.preprocessed import PREPROCESSED_SUFFIXES, preprocessed_stem
from sa2_monai.io.problems import Problems, listing

__all__ = ["list_preprocessed", "only_preprocessed"]


def list_preprocessed(source: Source) -> list[dict[str, Any]]:
    """Data list for inference on preprocessed files.

    Args:
        source: a file; a folder of files, also in its sub-folders (``train_npz/``, ``test_vol_h5/``); a ``.txt`` file
            with one path per line, relative to its own folder; or a list of files.

    Returns:
        List of ``{"image": absolute path, "case": name}``; folders sorted by path, lists in their own order. The case
        is the file name without ``.npz``, ``.h5``, ``.hdf5`` or ``.npy.h5``.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: no such files, a file of another kind, or two files that would get one case name.
    """
    name = str(source) if isinstance(source, (str, os.PathLike)) else "list of preprocessed files"
    paths = _paths(source)
    if not paths:
        raise ValueError(f"{name}: no preprocessed files found; expected {listing(list(PREPROCESSED_SUFFIXES))}")
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{name}: no such file: {listing(missing)}; check the path")
    wrong = [str(path) for path in paths if path.is_dir() or not _is_preprocessed(path)]
    if wrong:
        raise ValueError(
            f"{name}: not a preprocessed file by its name: {listing(wrong)}; expected "
            f"{listing(list(PREPROCESSED_SUFFIXES))}, and volumes in a run of their own"
        )
    problems, cases = Problems(name), dict[str, Path]()
    for path in paths:
        case = preprocessed_stem(path)
        other = cases.setdefault(case, path)
        if other is not path:
            problems.add(
                "files that would get one case name, and so one output file",
                f"{case}: {other} and {path}",
                "rename one of them, or predict them in separate runs",
            )
    problems.raise_if_any()
    return [{"image": os.path.abspath(path), "case": case} for case, path in cases.items()]


def only_preprocessed(source: Source) -> bool:
    """Whether a source of inputs holds preprocessed files, by the names.

    Args:
        source: see :func:`list_preprocessed`; it need not exist.

    Raises:
        ValueError: it holds volumes as well, which are seen in another way.
    """
    try:
        paths = _paths(source)
    except (OSError, ValueError):  # told by the function that lists the inputs
        return False
    files = [path for path in paths if _is_preprocessed(path)]
    volumes: list[Path] = []
    if files:
        volumes = [path for path in paths if path not in files]
        for folder in filter(Path.is_dir, _sources(source)):
            volumes += [path for path in folder.rglob("*") if path.name.lower().endswith(VOLUME_SUFFIXES)]
    if volumes:
        raise ValueError(
            f"{files[0]} is a preprocessed file, {volumes[0]} is none; predict preprocessed files and volumes in "
            "separate runs: the intensities of the former are used as they are"
        )
    return bool(files)


def _is_preprocessed(path: Path) -> bool:
    return path.name.lower().endswith(PREPROCESSED_SUFFIXES)


def _sources(source: Source) -> list[Path]:
    """The files and folders that are named; of the cases of a data list their images."""
    items = [source] if isinstance(source, (str, os.PathLike)) else source
    return [existing_path(item["image"] if isinstance(item, Mapping) else item) for item in items]


def _paths(source: Source) -> list[Path]:
    found: list[Path] = []
    for where in _sources(source):
        if where.is_dir():
            below = (path for path in where.rglob("*") if _is_preprocessed(path) and path.is_file())
            found += sorted(p for p in below if not any(n.startswith(".") for n in p.relative_to(where).parts))
        else:
            found += read_paths(where) if where.suffix.lower() == ".txt" else [where]
    return found
