# SPDX-License-Identifier: Apache-2.0
"""Which label belongs to which image: by equal names, or by one affix that pairs all of them; never by position."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sa2_monai.data.layouts.channel_files import pair_files
from sa2_monai.data.layouts.discovery.layout import QuestionError, Row
from sa2_monai.data.layouts.discovery.listing import Item
from sa2_monai.io.names import same_forms
from sa2_monai.io.problems import listing

__all__ = ["Member", "pair_members"]

#: Folders that say whose a file is, and the file.
Member = tuple[tuple[str, ...], Item]
_Key = tuple[tuple[str, ...], str]
_DIGIT = re.compile(r"\d")
_NUMBERED = re.compile(r"(.+?)[ _-]*\(?\d+\)?")


def pair_members(where: Path, images: Sequence[Member], labels: Sequence[Member]) -> tuple[list[Row], str]:
    """Cases of images and labels.

    The first that pairs all: equal names (and one file per channel, ``case_0000``); names that differ by one affix,
    such as ``_segmentation``; several label files of single objects per image; one image and one label per folder.

    Args:
        where: folder named in messages.
        images: the images.
        labels: the labels.

    Returns:
        Rows, and the rule in words.

    Raises:
        ValueError: partners are missing; all of them are named.
    """
    images, labels = _without_shared_folders(images), _without_shared_folders(labels)
    try:
        return _equal_names(where, images, labels), "by name"
    except ValueError as error:
        problem = error
    by_key = [{(rest, item.stem): item for rest, item in side} for side in (images, labels)]
    if [len(images), len(labels)] == list(map(len, by_key)):
        for rule in (_one_affix, _one_affix_per_folder, _several_labels):
            found = rule(where, *by_key)
            if found is not None:
                return found
        alone = [dict(side) for side in (images, labels)]
        if (
            alone[0].keys() == alone[1].keys()
            and all(len(side) == len(images) for side in (labels, *alone))
            and any(alone[0])
        ):
            return [Row("", rest, "", [item], [alone[1][rest]]) for rest, item in sorted(alone[0].items())], "by folder"
    raise problem


def _without_shared_folders(members: Sequence[Member]) -> list[Member]:
    """The files without the folders that all of them have above: they do not say whose a file is."""
    shared = set.intersection(*(set(rest) for rest, _ in members)) if members else set()
    return [(tuple(name for name in rest if name not in shared), item) for rest, item in members]


def _equal_names(where: Path, images: Sequence[Member], labels: Sequence[Member]) -> list[Row]:
    by_rest: dict[tuple[str, ...], tuple[list[Item], list[Item]]] = {}
    for side, members in enumerate((images, labels)):
        for rest, item in members:
            by_rest.setdefault(rest, ([], []))[side].append(item)
    rows = []
    for rest, (some, of_them) in sorted(by_rest.items()):
        items = {str(item.path): item for item in (*some, *of_them)}
        place = where.joinpath(*rest)
        for case in pair_files([item.path for item in some], [item.path for item in of_them], place):
            files = case["image"] if isinstance(case["image"], list) else [case["image"]]
            rows.append(Row("", rest, case["case"], [items[file] for file in files], [items[case["label"]]]))
    return rows


def _one_affix(where: Path, images: Mapping[_Key, Item], labels: Mapping[_Key, Item]) -> tuple[list[Row], str] | None:
    """Names that are equal once each side has lost the beginning and the end that all its names share."""
    if len(images) != len(labels) or len(images) < 2:
        return None
    (before, behind), of_image = _cores(images)
    (label_before, label_behind), of_label = _cores(labels)
    of_label = _same_forms(of_label, of_image)
    if of_image.keys() != of_label.keys() or len(of_image) < len(images):
        return None
    # What both sides have belongs to the name of the case: case_0 of case_01 and case_01_seg.
    shared = _end([before, label_before])
    tail = _beginning([behind, label_behind])
    rows = [
        Row("", rest, f"{shared}{core}{tail}", [images[key]], [labels[of_label[rest, core]]])
        for (rest, core), key in sorted(of_image.items())
    ]
    affix = f"{label_before.removesuffix(shared)}*{label_behind.removeprefix(tail)}"
    own = f"{before.removesuffix(shared)}*{behind.removeprefix(tail)}"
    return rows, f"by name with {affix!r}" + (f" for {own!r}" if own != "*" else "")


def _one_affix_per_folder(
    where: Path, images: Mapping[_Key, Item], labels: Mapping[_Key, Item]
) -> tuple[list[Row], str] | None:
    """The same in each folder by itself: ``training/21_training`` and ``test/01_test``."""
    folders = sorted({rest for rest, _ in images})
    if len(folders) < 2:
        return None
    rows: list[Row] = []
    for folder in folders:
        sides = [{key: item for key, item in side.items() if key[0] == folder} for side in (images, labels)]
        found = _one_affix(where, *sides)
        if found is None:
            return None
        rows += found[0]
    return (rows, "by name with one affix in each folder") if len(rows) == len(labels) else None


def _cores(side: Mapping[_Key, Item]) -> tuple[tuple[str, str], dict[_Key, _Key]]:
    """The shared beginning and end of all names, and the keys by what is left between them."""
    stems = [stem for _, stem in side]
    before = _beginning(stems)
    behind = _end([stem[len(before) :] for stem in stems])
    end = -len(behind) or None
    return (before, behind), {(rest, stem[len(before) : end]): (rest, stem) for rest, stem in side}


def _same_forms(table: Mapping[_Key, _Key], names: Mapping[_Key, _Key]) -> dict[_Key, _Key]:
    """The table with its keys in the Unicode form of the names."""
    texts = {"\0".join((*rest, core)): (rest, core) for rest, core in (*table, *names)}
    found = same_forms(
        {"\0".join((*rest, core)): value for (rest, core), value in table.items()},
        ["\0".join((*rest, core)) for rest, core in names],
    )
    return {texts[text]: value for text, value in found.items()}


def _several_labels(
    where: Path, images: Mapping[_Key, Item], labels: Mapping[_Key, Item]
) -> tuple[list[Row], str] | None:
    """``cell_3`` with ``cell_3_1`` and ``cell_3_2``, or the one image of a folder with all labels of it."""
    alone: dict[tuple[str, ...], list[_Key]] = {}
    for key in images:
        alone.setdefault(key[0], []).append(key)
    found: dict[_Key, list[Item]] = {key: [] for key in images}
    for (rest, stem), item in sorted(labels.items()):
        keys = alone.get(rest, [])
        if len(keys) == 1 and rest:
            found[keys[0]].append(item)
            continue
        match = _NUMBERED.fullmatch(stem)
        key = (rest, stem) if (rest, stem) in found or not match else (rest, match[1])
        if key not in found:
            return None
        found[key].append(item)
    numbers = [len(members) for members in found.values()]
    if not numbers or min(numbers) == 0 or max(numbers) == 1:
        return None
    parts = {frozenset(item.stem for item in members) for members in found.values()}
    if len(parts) == 1 < len(found) and not all(map(_DIGIT.search, next(iter(parts)))):
        names = sorted(next(iter(parts)))
        raise QuestionError(
            f"{where}: each image has the same {len(names)} label files ({listing(names, 4)}), which are classes, not "
            "objects; which one is meant? Put them together into one label map with a value per class, or give "
            "--images and --labels"
        )
    rows = [Row("", rest, stem, [images[rest, stem]], members) for (rest, stem), members in sorted(found.items())]
    return rows, "by folder or number, several label files of single objects per image"


def _beginning(texts: Sequence[str]) -> str:
    """What all texts begin with; that of the first and the last in the alphabet is that of all."""
    first, last = min(texts), max(texts)
    return first[: next((i for i, c in enumerate(first) if c != last[i : i + 1]), len(first))]


def _end(texts: Sequence[str]) -> str:
    return _beginning([text[::-1] for text in texts])[::-1]
