# SPDX-License-Identifier: Apache-2.0
"""The series of a folder of DICOM files: their list, and the choice of one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sa2_monai.io.dicom.files import dicom_files, read_header
from sa2_monai.io.dicom.slices import DicomSlice
from sa2_monai.io.problems import listing

__all__ = ["SeriesInfo", "choose_series", "series_in", "skipped_note"]


class SeriesInfo(NamedTuple):
    """A series of a folder.

    Attributes:
        uid: SeriesInstanceUID; empty in some anonymised files.
        number: SeriesNumber as it stands; may be empty.
        modality: ``CT``, ``MR``, ``SEG``, ...
        description: SeriesDescription; may be empty.
        images: number of images, every frame of a multi-frame file one; 0 of a series that is no scan (SEG, SR, ...).
        skipped: number of files that are left out: localizers, and objects that are no images.
    """

    uid: str
    number: str
    modality: str
    description: str
    images: int
    skipped: int

    def __str__(self) -> str:
        number = f"number {self.number}, " if self.number else ""
        return (
            f"{self.uid or '(no SeriesInstanceUID)'}: {number}{self.modality or '?'}, '{self.description}', "
            f"{self.images} images"
        )


def series_in(folder: str | os.PathLike[str]) -> list[SeriesInfo]:
    """Series of a folder, not of its sub-folders, from the headers of its files (about a millisecond each).

    Args:
        folder: an existing folder, or one file.

    Returns:
        The series in the order of their first files, those without images, too. Damaged files are left out; whoever
        reads the series is told about them.
    """
    slices = []
    for path in dicom_files(Path(folder)):
        try:
            slices.append(read_header(path))
        except ValueError:
            continue
    return _series_of(slices)


def choose_series(source: Path, slices: Sequence[DicomSlice], wanted: str = "") -> tuple[list[DicomSlice], str]:
    """Images of one series.

    Args:
        source: folder or file, for messages.
        slices: what :func:`~sa2_monai.io.dicom.files.read_slices` returned.
        wanted: SeriesInstanceUID, SeriesNumber, modality, or a part of the SeriesDescription in any case; the first of
            these that any series has decides. Empty: the only series that has images.

    Returns:
        The images without localizers, and the SeriesInstanceUID if one was wanted (``wanted`` if it has none).

    Raises:
        ValueError: no images, several series that could be meant, or none; the candidates are listed.
    """
    images = [item for item in slices if not item.kind and not item.localizer]
    found = [info for info in _series_of(slices) if info.images]
    if not found:
        localizers = sum(item.localizer for item in slices if not item.kind)
        note = skipped_note(slices)
        what = f"only localizers ({localizers})" if localizers else "no DICOM images"
        raise ValueError(
            f"{source}: holds {what}{f' ({note})' if note else ''}, expected the images of one series; give the folder "
            "that has them"
        )
    fitting = _fitting(found, wanted) if wanted else found
    if len(fitting) == 1:
        uid = fitting[0].uid
        return [item for item in images if item.series_uid == uid], uid if wanted and uid else wanted
    table = "\n    " + listing([str(info) for info in fitting or found], limit=30, separator="\n    ")
    if not fitting:
        raise ValueError(f"{source}: has no series {wanted}; it has{table}")
    what = f"holds {len(fitting)} series" + (f" that '{wanted}' may mean" if wanted else "")
    raise ValueError(
        f"{source}: {what}, expected one:{table}\n  -> put the wanted one into a folder of its own, or choose it by "
        "series (--series): its UID, number, modality or a part of its description"
    )


def skipped_note(slices: Sequence[DicomSlice]) -> str:
    """What is left out, in words: ``skipped: 1 SEG, 2 SR``; empty where nothing is.

    Args:
        slices: what :func:`~sa2_monai.io.dicom.files.read_slices` returned.
    """
    kinds = Counter(item.kind for item in slices if item.kind and item.kind != "DICOMDIR")
    return "skipped: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) if kinds else ""


def _series_of(slices: Sequence[DicomSlice]) -> list[SeriesInfo]:
    groups: dict[str, list[DicomSlice]] = {}
    for item in slices:
        if item.kind != "DICOMDIR":
            groups.setdefault(item.series_uid, []).append(item)
    series = []
    for uid, items in groups.items():
        images = [item for item in items if not item.kind and not item.localizer]
        first = (images or items)[0]
        count = sum(item.frames for item in images)
        modality = first.modality or first.kind
        series.append(
            SeriesInfo(uid, first.series_number, modality, first.description, count, len(items) - len(images))
        )
    return series


def _fitting(series: list[SeriesInfo], wanted: str) -> list[SeriesInfo]:
    wanted = wanted.strip()
    for test in (
        lambda info: info.uid == wanted,
        lambda info: _same_number(info.number, wanted),
        lambda info: info.modality == wanted.upper(),
        lambda info: bool(wanted) and _plain(wanted) in _plain(info.description),
    ):
        if found := [info for info in series if test(info)]:
            return found
    return []


def _plain(text: str) -> str:
    # MONAI's parser of configurations writes "::" for "#".
    return text.casefold().replace("::", "#")


def _same_number(number: str, wanted: str) -> bool:
    try:
        return int(number) == int(wanted)
    except ValueError:
        return False
