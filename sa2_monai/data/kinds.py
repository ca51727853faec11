# SPDX-License-Identifier: Apache-2.0
"""Data list for inference: the cases of files, folders and lists, by the kind of the files."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.layouts.folder_walk import LeftOut, unused_files
from sa2_monai.data.layouts.input_images import Source, images_in, name_images, of_list, read_paths
from sa2_monai.data.layouts.input_preprocessed import list_preprocessed, only_preprocessed
from sa2_monai.data.layouts.input_volumes import name_volumes, volumes_below
from sa2_monai.io.kinds import kind_of
from sa2_monai.io.paths import existing_path

__all__ = ["find_cases", "input_kind", "list_cases", "list_images", "list_volumes"]

logger = logging.getLogger(__name__)


def list_cases(source: Source, kind: str = "volumes", in_channels: int | None = None) -> list[dict[str, Any]]:
    """Data list for inference.

    Args:
        source: file, folder or list, see :func:`~sa2_monai.data.list_images`, :func:`~sa2_monai.data.list_volumes` and
            :func:`~sa2_monai.data.layouts.input_preprocessed.list_preprocessed`.
        kind: of the files that the model was trained on: ``"images"``, ``"volumes"``, or ``"preprocessed"``
            (preprocessed slices and volumes), which is used on such files and on volumes.
        in_channels: of the network: images of several files are found by their names, as the functions say.

    Returns:
        List of ``{"image": path, "case": name}``. What was found in a folder and left out is logged as a warning.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: another kind, or no files of it.
    """
    kind = kind_of(kind)
    cases, left_out = _listed(source, kind, in_channels)
    if left_out:
        logger.warning("%s: %s", source, left_out)
    return cases


def list_images(source: Source, in_channels: int | None = None) -> list[dict[str, Any]]:
    """Data list for inference on 2D images.

    Args:
        source: an image; a folder of images and of folders with images, whose label folders are left out; a
            ``.txt`` file with one path per line, relative to its own folder; a list of images; or a data list, which
            is returned as it is.
        in_channels: channels of the network. With another number than 1 or 3, which no image holds, the files
            ``<case>_0000.png``, ``<case>_0001.png`` and so on (nnU-Net's names) are one image, their channels in the
            order of the numbers, and ``image`` is the list of them.

    Returns:
        List of ``{"image": absolute path, "case": name}``; folders sorted by name, lists in their own order. The case
        is the file's name without its suffix; equal names in several folders get as much of the path in front as tells
        them apart, see :func:`~sa2_monai.data.layouts.case_names.distinct_names`.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: no images, a file that is no image, two images of one name in one folder, or numbered files of
            which some are missing.
    """
    return _listed(source, "images", in_channels)[0]


def list_volumes(source: Source, in_channels: int | None = None) -> list[dict[str, Any]]:
    """Data list for inference on volumes.

    Args:
        source: a volume file; the folder of one DICOM series; a folder of volume files, of folders that hold one DICOM
            series each, and of folders with these, whose label folders are left out (of ``imagesTs/`` and
            ``imagesTr/`` side by side the first is taken); a ``.txt`` file with one path per line, relative to its own
            folder; a list of files and series folders; or a data list, which is returned as it is.
        in_channels: channels of the network. With more than one, each case has as many files, ``<case>_0000.nii.gz``,
            ``<case>_0001.nii.gz`` and so on (nnU-Net's names), also in lists. With one, each file is a case. ``None``
            looks at the names of a folder.

    Returns:
        List of ``{"image": absolute path, "case": name}``; folders sorted by name, lists in their own order. The case
        is the file name without ``.nii.gz``, or the name of the series folder; without nnU-Net's ``_0000``, where no
        other file would get that name. Where a case has one file per channel, ``image`` is the list of them. Equal
        names in several folders get as much of the path in front as tells them apart, see
        :func:`~sa2_monai.data.layouts.case_names.distinct_names`.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: no volumes, a file that is no volume, two volumes of one name in one folder, or cases with another
            number of files than ``in_channels``.
    """
    return _listed(source, "volumes", in_channels)[0]


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
    # Without another word for it: a configuration of version 0.1 compares the answer with its own words.
    return "volumes" if kind_of(kind) == "preprocessed" and not only_preprocessed(source) else kind


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
    kind = kind_of(kind)
    if input_kind(sources, kind) == "preprocessed":
        cases = list_preprocessed(sources)
        for where in map(existing_path, sources):
            if where.is_dir():
                left_out.update(unused_files(where, [case["image"] for case in cases]))
        return cases, left_out
    paths: list[Path] = []
    for source in sources:
        where = existing_path(source)
        if where.is_dir():
            paths += images_in(where, left_out) if kind == "images" else volumes_below(where, left_out)
        else:
            paths += read_paths(where) if where.suffix.lower() == ".txt" else [where]
    name = str(sources[0]) if len(sources) == 1 else "inputs"
    if kind == "images":
        return name_images(paths, in_channels, name), left_out
    one_folder = len(sources) == 1 and existing_path(sources[0]).is_dir()
    return name_volumes(paths, in_channels, name, folder=one_folder), left_out


def _listed(source: Source, kind: str, in_channels: int | None) -> tuple[list[dict[str, Any]], LeftOut]:
    """Cases of one source, and what was left out of a folder."""
    if isinstance(source, (str, os.PathLike)):
        return find_cases([source], kind, in_channels)
    known, paths = of_list(source)
    if known:
        return known, LeftOut()
    if input_kind(source, kind) == "preprocessed":
        return list_preprocessed(paths), LeftOut()
    if kind == "images":
        return name_images(paths, in_channels, "list of images"), LeftOut()
    return name_volumes(paths, in_channels, "list of volumes"), LeftOut()
