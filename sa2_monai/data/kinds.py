# SPDX-License-Identifier: Apache-2.0
"""Data list for inference by the kind of its files."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.layouts.folder_walk import LeftOut, unused_files
from sa2_monai.data.layouts.input_images import Source, images_in, list_images, name_images, of_list, read_paths
from sa2_monai.data.layouts.input_preprocessed import list_preprocessed, only_preprocessed
from sa2_monai.data.layouts.input_volumes import list_volumes, name_volumes, volumes_below
from sa2_monai.io.paths import existing_path
from sa2_monai.io.readers import check_kind

__all__ = ["find_cases", "input_kind", "list_cases"]

logger = logging.getLogger(__name__)


def list_cases(source: Source, kind: str = "volumes", in_channels: int | None = None) -> list[dict[str, Any]]:
    """Data list for inference.

    Args:
        source: file, folder or list, see :func:`~sa2_monai.data.list_images`, :func:`~sa2_monai.data.list_volumes` and
            :func:`~sa2_monai.data.layouts.input_preprocessed.list_preprocessed`.
        kind: of the files that the model was trained on: ``"pictures"``, ``"volumes"``, or ``"archives"``
            (preprocessed slices and volumes), which is used on such files and on volumes.
        in_channels: of the network: images of several files are found by their names, as the functions say.

    Returns:
        List of ``{"image": path, "case": name}``. What was found in a folder and left out is logged as a warning.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: another kind, or no files of it.
    """
    check_kind(kind)
    if not isinstance(source, (str, os.PathLike)):
        known, paths = of_list(source)
        if known:
            return known
        if input_kind(source, kind) == "archives":
            return list_preprocessed(paths)
        return list_images(paths, in_channels) if kind == "pictures" else list_volumes(paths, in_channels)
    cases, left_out = find_cases([source], kind, in_channels)
    if left_out:
        logger.warning("%s: %s", source, left_out)
    return cases


def input_kind(source: Source, kind: str) -> str:
    """Kind of the files to predict with a model.

    Args:
        source: see :func:`list_cases`; it need not exist.
        kind: kind of the files that the model was trained on.

    Returns:
        ``kind``, but ``"volumes"`` for a model of preprocessed files where the source holds anything else than those.

    Raises:
        ValueError: another kind.
    """
    check_kind(kind)
    return "volumes" if kind == "archives" and not only_preprocessed(source) else kind


def find_cases(
    sources: Sequence[str | os.PathLike[str]], kind: str, in_channels: int | None = None
) -> tuple[list[dict[str, Any]], LeftOut]:
    """Cases of several sources together, and what was left out of folders.

    Args:
        sources: files, folders and ``.txt`` files.
        kind: see :func:`list_cases`.
        in_channels: see there.

    Returns:
        The data list, and what lies in the folders and is no image.

    Raises:
        FileNotFoundError, ValueError: as :func:`list_cases`.
    """
    left_out = LeftOut()
    if input_kind(sources, kind) == "archives":
        cases = list_preprocessed(sources)
        for where in map(existing_path, sources):
            if where.is_dir():
                left_out.update(unused_files(where, [case["image"] for case in cases]))
        return cases, left_out
    paths: list[Path] = []
    for source in sources:
        where = existing_path(source)
        if where.is_dir():
            paths += images_in(where, left_out) if kind == "pictures" else volumes_below(where, left_out)
        else:
            paths += read_paths(where) if where.suffix.lower() == ".txt" else [where]
    name = str(sources[0]) if len(sources) == 1 else "inputs"
    if kind == "pictures":
        return name_images(paths, in_channels, name), left_out
    one_folder = len(sources) == 1 and existing_path(sources[0]).is_dir()
    return name_volumes(paths, in_channels, name, folder=one_folder), left_out
