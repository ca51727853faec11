# SPDX-License-Identifier: Apache-2.0
"""Labels beside their images: ``a.png`` and ``a_mask.png``, or a folder per case with ``image`` and ``seg``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from sa2_monai.data.layouts.discovery.layout import Layout, QuestionError, Row, make_layout
from sa2_monai.data.layouts.discovery.listing import Item, Listing
from sa2_monai.data.layouts.discovery.words import label_names_of, without_image_word
from sa2_monai.io.problems import Problems, listing

__all__ = ["beside_layout"]

_SEPARATORS = " ._-"
_NUMBERED = re.compile(r"(.+?)[ _-]?\d+")
_NO_CHANNEL = re.compile(r"^\d{1,3}$|mask|seg|label|overlay|pred|output|result", re.IGNORECASE)


def beside_layout(found: Listing) -> Layout | None:
    """Cases whose label lies in the folder of its image and has a word for it in its name.

    Args:
        found: the files.

    Returns:
        ``None`` where no file is the label of another by its name.

    Raises:
        ValueError: partners are missing; all of them are named.
        QuestionError: several files per case could be the label, or the image.
    """
    folders: dict[tuple[str, ...], list[Item]] = {}
    for item in found.items:
        folders.setdefault(item.folders, []).append(item)
    affix = _label_affix(found, folders)
    if affix is None:
        return None
    rows: list[Row] = []
    problems = Problems(str(found.directory))
    kinds: Counter[tuple[str, ...]] = Counter()
    for names, items in folders.items():
        labels = {key: item for item in items for key, word in _readings(item) if word == affix}
        further = _further(labels, items)
        taken = {id(item) for of in (labels.values(), *further.values()) for item in of}
        others = [item for item in items if id(item) not in taken]
        _, _, part, rest = items[0].meaning()
        if not labels and part == "test":
            rows += [Row(part, rest, item.stem, [item]) for item in others]
            continue
        images = _images_of(labels, others)
        used = {id(item) for of in images.values() for _, item in of}
        for item in others:
            if id(item) not in used and any(labels):  # a label with a name of its own: the others are for other images
                problems.add(
                    "images without a label",
                    str(item.path),
                    f"add the label with {affix!r} in its name",
                )
        for key, label in labels.items():
            if not images[key]:
                problems.add(
                    "labels without an image", str(label.path), "add the image with the label's stem, or move it away"
                )
                continue
            residues, members = zip(*sorted(images[key], key=lambda pair: pair[0]), strict=True)
            kinds[residues] += 1
            rows.append(Row(part, rest, key, members, [label, *further.get(key, [])]))
        if not labels and names:
            for item in others:
                problems.add("images without a label", str(item.path), f"add the label {affix!r}, or move it away")
    problems.raise_if_any()
    channels = _channels(found, kinds, rows)
    per_case = all(row.rest and not row.name for row in rows)
    words = f"one folder per case, label {affix!r}" if per_case else f"label beside the image, {affix!r} in its name"
    return make_layout(rows, words + (f", channels {', '.join(channels)}" if channels else ""), channels)


def _further(labels: Mapping[str, Item], items: Sequence[Item]) -> dict[str, list[Item]]:
    """Labels of further objects by the key of the first: ``a_mask_1`` beside ``a_mask``."""
    keys = {label.stem: key for key, label in labels.items() if key and label.stem.startswith(key)}
    found: dict[str, list[Item]] = {}
    for item in items:
        match = _NUMBERED.fullmatch(item.stem)
        if match and match[1] in keys:
            found.setdefault(keys[match[1]], []).append(item)
    return found


def _readings(item: Item) -> list[tuple[str, str]]:
    """How a name reads as that of a label: the name of the case, and the word with its place."""
    stem = item.stem
    found = []
    for key, affix in label_names_of(stem):
        found.append((key, affix if stem.endswith(affix) else f"{affix}*"))
    return found


def _label_affix(found: Listing, folders: dict[tuple[str, ...], list[Item]]) -> str | None:
    """The one word of labels whose files all have an image beside them."""
    complete: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for items in folders.values():
        by_key: dict[str, list[Item]] = {"": items}
        for item in items:
            for key in {*_keys(item), *without_image_word(item.stem)} - {""}:
                by_key.setdefault(key, []).append(item)
        for item in items:
            for key, affix in _readings(item):
                others = by_key.get(key, [])
                fits = any(other is not item and not _is(other, affix) for other in others)
                (complete if fits else alone)[affix] += 1
    if not complete:
        return None
    ranked = complete.most_common()
    rivals = [affix for affix, number in ranked[1:] if number > alone[affix]]
    if rivals:
        first = ranked[0][0]
        several = " and ".join(repr(affix) for affix in (first, *rivals[:2]))
        raise QuestionError(
            f"{found.directory}: files with {several} in their names could be the labels; which are? Give --images and "
            f"--labels, such as --labels '{_glob(first, folders)}'"
        )
    return ranked[0][0]


def _is(item: Item, affix: str) -> bool:
    return any(word == affix for _, word in _readings(item))


def _glob(affix: str, folders: dict[tuple[str, ...], list[Item]]) -> str:
    item = next(item for items in folders.values() for item in items if _is(item, affix))
    suffix = item.path.name[len(item.stem) :]
    name = affix if affix.endswith("*") or affix == item.stem else f"*{affix}"
    return f"{'**/' if item.folders else ''}{name}{suffix}"


def _images_of(labels: Mapping[str, Item], others: Sequence[Item]) -> dict[str, list[tuple[str, Item]]]:
    """Images by the key of their label, with what their names have more than the key: the modality, or nothing."""
    found: dict[str, list[tuple[str, Item]]] = {key: [] for key in labels}
    for item in others:
        words = [key for key in without_image_word(item.stem) if key and key in labels]
        starts = [key for key in _keys(item) if key in labels]
        if words:
            found[max(words, key=len)].append(("", item))
        elif starts:
            key = max(starts, key=len)
            found[key].append((item.stem[len(key) :].strip(_SEPARATORS), item))
    return found


def _keys(item: Item) -> list[str]:
    """The beginnings of a name that a separator ends, nothing among them."""
    return ["", *(item.stem[:i] for i, c in enumerate(item.stem) if c in _SEPARATORS)]


def _channels(found: Listing, kinds: Counter[tuple[str, ...]], rows: Sequence[Row]) -> list[str] | None:
    """Names of the channels where every case has the same several files."""
    if all(len(names) == 1 for names in kinds):
        return None
    shown = [f"{number} with {', '.join(n or 'no word' for n in names)}" for names, number in kinds.most_common(3)]
    names = next(iter(kinds))
    # Colour images have their channels in one file; masks and results of programs are no channels.
    doubtful = found.kind == "images" or any(_NO_CHANNEL.search(name) for name in names)
    if len(kinds) > 1 or doubtful:
        raise QuestionError(
            f"{found.directory}: the cases have several files beside their label ({listing(shown, separator='; ')}); "
            "which is the image? Give --images and --labels, or a CSV of pairs (columns image,label)"
        )
    return [name or "image" for name in names]
