# SPDX-License-Identifier: Apache-2.0
"""Checks of images and label maps before training starts: readable, of one size, with known values."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from sa2_monai.data.checks.opened_files import OpenedFiles
from sa2_monai.io.label_values import LabelTable, from_colour_file, from_lossy_file, unexplained
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.problems import Problems, listing
from sa2_monai.io.processors import usable_processors

__all__ = ["check_cases"]

logger = logging.getLogger(__name__)


def check_cases(
    where: str,
    cases: Sequence[Mapping[str, Any]],
    table: LabelTable,
    in_channels: int | None,
    ignore_value: int | None = None,
    opened: OpenedFiles | None = None,
) -> None:
    """Read all images and labels in a thread pool and report every problem in one error.

    Args:
        where: folder named in the message.
        cases: data list; cases without ``label`` are looked at, too.
        table: see :func:`label_table`.
        in_channels: channels that the images will be read with; ``None`` for whatever the files have. Grey and colour
            become 1 or 3, any other number must be that of the file, or of the files of a case together.
        ignore_value: value in the labels that belongs to no class; ``None`` if there is none.
        opened: the files, where others ask for them as well.

    Raises:
        ValueError: unreadable or missing files, labels of another size than their image, unknown label values, labels
            that hold nothing but 0 and the ignored value, channel counts that images cannot have.
    """
    if in_channels is not None and in_channels < 1:
        raise ValueError(f"in_channels is {in_channels}, expected 1 (grey), 3 (RGB), or what the files hold")
    problems = Problems(where)
    values: set[float] = set()
    opened = opened or OpenedFiles("images")
    with ThreadPoolExecutor(max_workers=min(16, usable_processors())) as pool:
        looks = list(pool.map(lambda case: _check_case(case, table, in_channels, ignore_value, opened), cases))
    for look in looks:
        values |= look.values
        for problem in look.problems:
            problems.add(*problem)
    flat = [str(case["case"]) for case, look in zip(cases, looks, strict=True) if look.constant]
    if flat:
        logger.warning("%s: %d images are of one value everywhere: %s", where, len(flat), listing(flat))
    if values == {0}:
        logger.warning("%s: no label holds anything but background", where)
    if ignore_value is not None and values == {0, ignore_value}:
        problems.add(
            f"labels with the values 0 and {ignore_value} only, of which {ignore_value} is ignored",
            f"all {len(cases)} labels",
            "write class numbers from 1 into the masks, or use a layout in which white is foreground, such as 'folder'",
        )
    problems.raise_if_any()


class _Look(NamedTuple):
    """What the look at one case found: problems (kind, case, hint), label values, whether the image has one value."""

    problems: list[tuple[str, str, str]]
    values: set[float]
    constant: bool


def _check_case(
    case: Mapping[str, Any],
    table: LabelTable,
    in_channels: int | None,
    ignore_value: int | None,
    opened: OpenedFiles,
) -> _Look:
    found: list[tuple[str, str, str]] = []
    sizes: list[tuple[int, ...]] = []
    images = list(case["image"]) if isinstance(case["image"], (list, tuple)) else [case["image"]]
    channels, flat = 0, 0
    for path in images:
        try:
            image = opened.image(str(path), in_channels if len(images) == 1 and in_channels in (1, 3) else None)
        except ValueError as error:
            found.append(_unreadable("image", path, error))
            continue
        channels += image.shape[2]
        flat += image.one_colour
        sizes.append(image.shape[:2])
    if len(sizes) == len(images) and in_channels not in (None, channels):
        more = f" and {len(images) - 1} more" if len(images) > 1 else ""
        hint = (
            "set in_channels to 1 (grey) or 3 (RGB), or to the number of channels that the files of a case have in all"
        )
        found.append((f"images without {in_channels} channels", f"{images[0]}{more}: {channels}", hint))
    if len(set(sizes)) > 1:
        hint = "the files of a case are channels of one image, make them of one size"
        found.append(("cases with files of different size", str(images[0]), hint))
    values: set[float] = set()
    if "label" in case:
        size = sizes[0] if sizes else None
        problems, values = _check_label(str(case["label"]), size, table, ignore_value, opened)
        found += problems
    return _Look(found, values, flat == len(images))


def _check_label(
    path: str, size: tuple[int, ...] | None, table: LabelTable, ignore_value: int | None, opened: OpenedFiles
) -> tuple[list[tuple[str, str, str]], set[float]]:
    try:
        label = opened.label(path)
    except ValueError as error:
        return [_unreadable("label", path, error)], set()
    found = []
    if size is not None and size != label.shape:
        (height, width), (label_height, label_width) = size, label.shape
        found.append(
            (
                "labels of another size than their image",
                f"{path}: {label_width} x {label_height}, image {width} x {height} (width x height)",
                "make each label from its own image, at the image's full size",
            )
        )
    values = set(label.counts)
    wrong = unexplained(values, table, ignore_value, lambda: from_lossy_file(path), lambda: from_colour_file(path))
    if wrong is not None:
        found.append((wrong.kind, f"{path}: {wrong.found}", wrong.fix))
    return found, values


def _unreadable(key: str, path: Any, error: Exception) -> tuple[str, str, str]:
    hint = "replace or remove these files"
    if str(path).lower().endswith(VOLUME_SUFFIXES):
        hint = "these are volumes by their suffix: read them with dataset 'volumes'"
    return f"unreadable {key} files", str(error), hint
