# SPDX-License-Identifier: Apache-2.0
"""Volumes to predict: files, DICOM series, folders with what is in them, lists, text files with one path per line."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.layouts.case_names import distinct_names
from sa2_monai.data.layouts.folder_walk import LeftOut, labels_beside, walk
from sa2_monai.io.dicom.files import dicom_files, is_dicom, read_header
from sa2_monai.io.names import VOLUME_SUFFIXES, volume_stem
from sa2_monai.io.paths import existing_path
from sa2_monai.io.problems import Problems, listing

__all__ = ["name_volumes", "volumes_below"]

_EXPECTED = f"{listing(list(VOLUME_SUFFIXES))} files or DICOM series"
# Voxels beside the header that names them.
_VOXELS = (".raw", ".zraw")
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_Group = tuple[str, list[Path]]


def volumes_below(folder: Path, left_out: LeftOut) -> list[Path]:
    """Volume files and folders of DICOM series: the folder itself, and what is in it and in the folders in it.

    Args:
        folder: an existing folder.
        left_out: takes what is there and is no volume.

    Raises:
        ValueError: there are none.
    """
    found: list[Path] = []
    for place, files in walk(folder, left_out):
        volumes = [path for path in files if path.name.lower().endswith(VOLUME_SUFFIXES)]
        labels = labels_beside(volumes, _stem)
        dicom = [path for path in files if path not in volumes and _is_slice(path)]
        if dicom and _has_images(place):
            found.append(place)
        elif dicom:
            left_out.add("folder of DICOM files without images", place.name)
        found += [path for path in volumes if path not in labels]
        stems = {_name(path) for path in volumes}
        for path in files:
            part = path.name.upper() == "DICOMDIR" or (path.name.lower().endswith(_VOXELS) and path.stem in stems)
            if path in labels:
                left_out.add("label beside an image", path.name)
            elif path not in volumes and path not in dicom and not part:
                left_out.add_file(path)
    if not found:
        raise ValueError(f"{folder}: no volumes found, expected {_EXPECTED}, or folders with them{left_out.clause()}")
    return found


def name_volumes(
    paths: Iterable[Path], in_channels: int | None, source: str, folder: bool = False
) -> list[dict[str, Any]]:
    """Cases of volume files and series folders; see :func:`sa2_monai.data.list_volumes` for what it returns and raises.

    Args:
        paths: files and folders.
        in_channels: see there.
        source: where they come from, for messages.
        folder: they are those of a folder, whose names tell the number of channels where ``in_channels`` does not.
    """
    paths = [existing_path(path) for path in paths]
    if not paths:
        raise ValueError(f"{source}: no volumes found; expected {_EXPECTED}")
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{source}: no such volume: {listing(missing)}; check the path")
    wrong = [str(path) for path in paths if not _is_volume(path)]
    if wrong:
        raise ValueError(f"{source}: not a volume by its name or content: {listing(wrong)}; expected {_EXPECTED}")
    if in_channels is not None and in_channels > 1:
        groups = _channels(paths, in_channels, source)
    else:
        groups = (_by_case(paths) if folder and in_channels is None else None) or _one_each(paths)
    problems = Problems(source)
    cases: dict[str, list[Path]] = {}
    for case, files in groups:
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
    if path.is_dir():
        return any(_is_slice(file) for file in sorted(path.iterdir()))
    return path.name.lower().endswith(VOLUME_SUFFIXES) or _is_slice(path)


def _is_slice(path: Path) -> bool:
    """Whether a file is DICOM; a DICOMDIR only points at others."""
    return path.is_file() and not path.name.startswith(".") and path.name.upper() != "DICOMDIR" and is_dicom(path)


def _has_images(folder: Path) -> bool:
    """Whether some of the DICOM files of a folder are images, and not reports or segmentations only.

    Of a series that is the first file as a rule, so that the others are not opened here.
    """
    try:
        return any(not read_header(path).kind for path in dicom_files(folder))
    except ValueError:  # damaged: an error of this case, not one of all
        return True


def _name(path: Path) -> str:
    return volume_stem(os.path.abspath(path))


def _stem(path: Path) -> str:
    return _name(path).removesuffix("_0000")


def _one_each(paths: Sequence[Path]) -> list[_Group]:
    """A case per file. ``_0000`` is left out of a name where nothing else would get the rest."""
    taken = Counter((path.parent, _stem(path)) for path in paths)
    numbered = {(path.parent, match[1]) for path in paths if (match := _numbered(path)) and match[2] != "0000"}
    stems = []
    for path in paths:
        rest = (path.parent, _stem(path))
        stems.append(_stem(path) if taken[rest] == 1 and rest not in numbered else _name(path))
    return [(name, [path]) for name, path in zip(distinct_names(stems, paths), paths, strict=True)]


def _numbered(path: Path) -> re.Match[str] | None:
    return _CHANNEL.fullmatch(_name(path))


def _channels(paths: Sequence[Path], count: int, source: str) -> list[_Group]:
    """Cases of ``count`` files each, in the order of their first files."""
    matches = [_numbered(path) for path in paths]
    numbers = [int(match[2]) if match else 0 for match in matches]
    stems = [match[1] if match else _name(path) for match, path in zip(matches, paths, strict=True)]
    cases: dict[str, dict[int, Path]] = {}
    problems = Problems(source)
    for path, number, case in zip(paths, numbers, distinct_names(stems, paths, numbers), strict=True):
        other = cases.setdefault(case, {}).setdefault(number, path)
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


def _by_case(paths: Sequence[Path]) -> list[_Group] | None:
    """Cases of a folder; files are taken as channels only where all names say so, in several cases alike."""
    matches = [match for path in paths if (match := _numbered(path))]
    if len(matches) < len(paths):
        return None
    stems, numbers = [match[1] for match in matches], [int(match[2]) for match in matches]
    channels: dict[str, dict[int, Path]] = {}
    for path, number, case in zip(paths, numbers, distinct_names(stems, paths, numbers), strict=True):
        if number in channels.setdefault(case, {}):
            return None
        channels[case][number] = path
    count = max(len(found) for found in channels.values())
    alike = all(sorted(found) == list(range(count)) for found in channels.values())
    # One name with many numbers is more likely a numbered series of scans than a scan with many channels.
    if not alike or (len(channels) == 1 and count > 1 and paths[0].parent.name not in ("imagesTr", "imagesTs")):
        return None
    return [(case, [found[k] for k in range(count)]) for case, found in channels.items()]
