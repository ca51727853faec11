# SPDX-License-Identifier: Apache-2.0
"""Images and labels of equal names, also with one file per channel: ``case_0000.png``, ``case_0001.png``."""

from __future__ import annotations

import re
from pathlib import Path

from sa2_monai.data.layouts.cases import Case
from sa2_monai.io.names import VOLUME_SUFFIXES, same_forms, volume_stem
from sa2_monai.io.problems import Problems, listing

__all__ = ["CHANNEL", "pair_files", "stem_of"]

#: A channel's file of nnU-Net: case name, underscore, four digits.
CHANNEL = re.compile(r"(.+)_(\d{4})")


def stem_of(path: Path) -> str:
    """File name without the suffix of an image or volume.

    Args:
        path: file, or the folder of a DICOM series.
    """
    if path.name.lower().endswith(VOLUME_SUFFIXES):
        return volume_stem(path)
    return path.name if path.is_dir() else path.stem


def pair_files(
    images: list[Path], labels: list[Path] | None, where: Path, num_channels: int | None = None
) -> list[Case]:
    """Pair images and labels by stem; several channel files ``<case>_0000``, ``_0001`` are one image.

    Args:
        images: image files.
        labels: label files; ``None`` for images without labels.
        where: folder named in the messages.
        num_channels: channel files that every case must have, where known.

    Returns:
        Cases sorted by name.

    Raises:
        ValueError: a partner or a channel is missing, or two files have one stem; all of them are named.
    """
    problems = Problems(str(where))
    image_of = _by_stem(images, problems)
    label_of = None if labels is None else same_forms(_by_stem(labels, problems), image_of)
    channels: dict[str, dict[int, Path]] = {}
    for stem, path in image_of.items():
        match = CHANNEL.fullmatch(stem)
        case, channel = stem, 0
        # Four digits alone say nothing: scan_0001 with the label scan_0001 is a case, not a channel.
        if match and (num_channels is not None if label_of is None else stem not in label_of and match[1] in label_of):
            case, channel = match[1], int(match[2])
        other = channels.setdefault(case, {}).setdefault(channel, path)
        if other != path:
            problems.add(
                "two files of one name", f"{other} and {path.name}", "keep one of them, or rename it with its partner"
            )
    count = num_channels or max((len(found) for found in channels.values()), default=1)
    for case, found in sorted(channels.items()):
        if label_of is not None and case not in label_of:
            problems.add(
                "images without a label",
                str(next(iter(found.values()))),
                "add a label file with the image's stem, or move the image away",
            )
        elif sorted(found) != list(range(count)):
            problems.add(
                f"cases without the channels 0 to {count - 1}",
                f"{case}: has {listing([str(i) for i in sorted(found)])} in {next(iter(found.values())).parent}",
                "add the missing files <case>_0000, <case>_0001, ..., the same number for every case",
            )
    for case in sorted((label_of or {}).keys() - channels.keys()):
        problems.add(
            "labels without an image",
            str((label_of or {})[case]),
            "add the image with the label's stem, or move the label away",
        )
    problems.raise_if_any()
    cases: list[Case] = []
    for name in sorted(channels):
        files = [str(channels[name][i]) for i in sorted(channels[name])]
        item: Case = {"image": files[0] if len(files) == 1 else files}
        if label_of is not None:
            item["label"] = str(label_of[name])
        cases.append({**item, "case": name})
    return cases


def _by_stem(files: list[Path], problems: Problems) -> dict[str, Path]:
    table: dict[str, Path] = {}
    for path in files:
        other = table.setdefault(stem_of(path), path)
        if other != path:
            problems.add(
                "two files of one name", f"{other} and {path.name}", "keep one of them, or rename it with its partner"
            )
    return table
