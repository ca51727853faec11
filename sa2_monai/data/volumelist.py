# SPDX-License-Identifier: Apache-2.0
"""Volumes to predict: files, folders, DICOM series, lists, or a text file with one path per line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.imagelist import read_paths
from sa2_monai.io.dicom.files import is_dicom, is_multiframe
from sa2_monai.io.names import VOLUME_SUFFIXES, volume_stem, volumes_in
from sa2_monai.io.problems import Problems, listing

__all__ = ["list_volumes"]

_EXPECTED = f"{listing(list(VOLUME_SUFFIXES))} files or DICOM series"
# Folders of images in a data set, the first that is there; those of nnU-Net hold one file per channel.
_IMAGE_FOLDERS = ("images", "img", "imagesTs", "imagesTr")
_LABEL_FOLDERS = ("labels", "labelsTr", "labelsTs", "masks")
# Label maps that lie beside their image.
_LABEL_ENDINGS = ("_seg", "_gt", "_label", "_labels", "_mask")
_CHANNEL = re.compile(r"(.+)_(\d{4})")


def list_volumes(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], in_channels: int | None = None
) -> list[dict[str, Any]]:
    """Data list for inference on volumes.

    Args:
        source: a volume file; the folder of one DICOM series; a folder of volume files, or of folders that hold one
            DICOM series each; a data set with ``images/`` (or ``imagesTs/``, else ``imagesTr/``); a ``.txt`` file with
            one path per line, relative to its own folder; or a list of files and series folders.
        in_channels: channels of the network. With more than one, each case has as many files, ``<case>_0000.nii.gz``,
            ``<case>_0001.nii.gz`` and so on (nnU-Net's names), also in lists; ``None`` looks at the names of a folder.

    Returns:
        List of ``{"image": absolute path, "case": name}``; folders sorted by name, lists in their own order. The case
        is the file name without ``.nii.gz`` and without nnU-Net's ``_0000``, or the name of the series folder. Where a
        folder has one file per channel (``<case>_0000``, ``<case>_0001``, the same channels for each of several
        cases), ``image`` is the list of them.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: no volumes, a file that is no volume, two volumes that would get one case name, or cases with
            another number of files than ``in_channels``.
    """
    if isinstance(source, (str, os.PathLike)):
        where, name = Path(source), str(source)
        if where.is_dir():
            found = _from_folder(where)
        else:
            found = _one_each(read_paths(where) if where.suffix.lower() == ".txt" else [where])
    else:
        found, name = _one_each([Path(item) for item in source]), "list of volumes"
    if in_channels is not None and in_channels > 1:
        found = _channels([path for _, files in found for path in files], in_channels, name)
    paths = [path for _, files in found for path in files]
    if not paths:
        raise ValueError(f"{name}: no volumes found; expected {_EXPECTED}")
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{name}: no such volume: {listing(missing)}; check the path")
    wrong = [str(path) for path in paths if not _is_volume(path)]
    if wrong:
        raise ValueError(f"{name}: not a volume by its name or content: {listing(wrong)}; expected {_EXPECTED}")
    problems = Problems(name)
    cases: dict[str, list[Path]] = {}
    for case, files in found:
        other = cases.setdefault(case, files)
        if other is not files:
            problems.add(
                "volumes that would get one case name, and so one output file",
                f"{case}: {other[0]} and {files[0]}",
                "rename one of them, or predict them in separate runs",
            )
    problems.raise_if_any()
    return [
        {"image": os.path.abspath(files[0]) if len(files) == 1 else list(map(os.path.abspath, files)), "case": case}
        for case, files in cases.items()
    ]


def _is_volume(path: Path) -> bool:
    return _is_series(path) if path.is_dir() else path.name.lower().endswith(VOLUME_SUFFIXES) or is_multiframe(path)


def _is_series(folder: Path) -> bool:
    """Whether a folder holds DICOM files itself; a DICOMDIR alone only points at others."""
    return any(
        is_dicom(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name.upper() != "DICOMDIR"
    )


def _one_each(paths: list[Path]) -> list[tuple[str, list[Path]]]:
    return [(volume_stem(os.path.abspath(path)).removesuffix("_0000"), [path]) for path in paths]


def _from_folder(folder: Path) -> list[tuple[str, list[Path]]]:
    files = _images(folder)
    if files:
        return _by_case(files)
    if _is_series(folder):
        return _one_each([folder])
    for name in _IMAGE_FOLDERS:
        if (folder / name).is_dir() and (found := _from_folder(folder / name)):
            return found
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    series = [path for path in inside if path.name not in _LABEL_FOLDERS and _is_series(path)]
    if series:
        return _one_each(series)
    hint = f"; it has the folders {listing([p.name for p in inside])}, give one of them" if inside else ""
    raise ValueError(f"{folder}: no volumes found, expected {_EXPECTED}, or a folder images/{hint}")


def _images(folder: Path) -> list[Path]:
    files = volumes_in(folder)
    stems = {volume_stem(path).removesuffix("_0000") for path in files}
    return [path for path in files if not any(_base(path, ending) in stems for ending in _LABEL_ENDINGS)]


def _base(path: Path, ending: str) -> str | None:
    """Stem of the image that a file of this ending would be the label of."""
    stem = volume_stem(path)
    return stem.removesuffix(ending) if stem.endswith(ending) else None


def _channels(files: list[Path], count: int, name: str) -> list[tuple[str, list[Path]]]:
    """Cases of ``count`` files each, in the order of their first files."""
    cases: dict[str, dict[int, Path]] = {}
    problems = Problems(name)
    for path in files:
        match = _CHANNEL.fullmatch(volume_stem(os.path.abspath(path)))
        case, channel = (match[1], int(match[2])) if match else (volume_stem(path), 0)
        other = cases.setdefault(case, {}).setdefault(channel, path)
        if other is not path:
            problems.add(
                "volumes that would be one channel of one case", f"{other} and {path}", "rename one of the two cases"
            )
    for case, found in cases.items():
        if sorted(found) != list(range(count)):
            problems.add(
                f"cases without the {count} files that the channels of the network need",
                f"{case}: has {listing([str(path) for path in found.values()])}",
                f"give the files <case>_0000 to <case>_{count - 1:04d}, in the order of training",
            )
    problems.raise_if_any()
    return [(case, [found[channel] for channel in range(count)]) for case, found in cases.items()]


def _by_case(files: list[Path]) -> list[tuple[str, list[Path]]]:
    """Cases of a folder; files are taken as channels only where all names say so, in several cases alike."""
    channels: dict[str, dict[int, Path]] = {}
    for path in files:
        match = _CHANNEL.fullmatch(volume_stem(path))
        if not match or int(match[2]) in channels.setdefault(match[1], {}):
            return _one_each(files)
        channels[match[1]][int(match[2])] = path
    count = max(len(found) for found in channels.values())
    alike = all(sorted(found) == list(range(count)) for found in channels.values())
    # One name with many numbers is more likely a numbered series of scans than a scan with many channels.
    if not alike or (len(channels) == 1 and count > 1 and files[0].parent.name not in ("imagesTr", "imagesTs")):
        return [(volume_stem(path), [path]) for path in files]
    return [(case, [found[k] for k in range(count)]) for case, found in channels.items()]
