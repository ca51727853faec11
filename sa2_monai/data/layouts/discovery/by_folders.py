# SPDX-License-Identifier: Apache-2.0
"""Images and labels in folders of their own: ``images/`` and ``masks/``, in any part, patient by patient or not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sa2_monai.data.layouts.discovery.layout import Layout, QuestionError, Row, make_layout
from sa2_monai.data.layouts.discovery.listing import Item, Listing
from sa2_monai.data.layouts.discovery.pairing import Member, pair_members

__all__ = ["folder_layout"]

_NUMBER = re.compile(r"\d+")
#: Files by the folder whose name gives them their role.
_Sets = dict[str, list[Member]]


def folder_layout(found: Listing, loose: bool = False) -> Layout | None:
    """Cases of folders for images and folders for labels.

    Args:
        found: the files.
        loose: also take names of folders with words that are not known.

    Returns:
        ``None`` where no folder is one of labels, or none is left for the images.

    Raises:
        ValueError: partners are missing; all of them are named.
        QuestionError: several folders could be the images or the labels.
    """
    images, labels, instances, rest = (_by_part(found, role, loose) for role in ("image", "label", "instances", ""))
    if not labels:
        return None
    if images:
        return _layout(found, images, labels, instances)
    # What lies beside the folder of labels are the images: loose files, or files in a folder of any name.
    if set(rest) & set(labels):  # further copies of the images have no labels
        rest = {part: sets for part, sets in rest.items() if part in labels or part == "test"}
    everything = {part: {"": _all(sets)} for part, sets in rest.items()}
    try:
        return _layout(found, everything, labels, instances) if everything else None
    except QuestionError:
        raise
    except ValueError:
        in_folders = {part: _by_last_folder(sets) for part, sets in rest.items()}
        if not all(in_folders.values()):
            raise
        return _layout(found, in_folders, labels, instances)


def _by_part(found: Listing, role: str, loose: bool) -> dict[str, _Sets]:
    parts: dict[str, _Sets] = {}
    for item in found.items:
        of_item, folder, part, rest = item.meaning(loose)
        if of_item == role:
            parts.setdefault(part, {}).setdefault(folder, []).append((rest, item))
    return parts


def _by_last_folder(sets: _Sets) -> _Sets:
    found: _Sets = {}
    for members in sets.values():
        for rest, item in members:
            if rest:
                found.setdefault(rest[-1], []).append((rest[:-1], item))
    return found


def _layout(found: Listing, images: dict[str, _Sets], labels: dict[str, _Sets], instances: dict[str, _Sets]) -> Layout:
    if "" in images and "training" in images:
        raise ValueError(
            f"{found.directory}: has images/ and a folder with a training part, expected one of them; merge the two"
        )
    rows: list[Row] = []
    rules: list[str] = []
    if not set(images) & set(labels):  # only one side has the parts: images/train and labels/
        part_of = {str(item.path): p for of in (images, labels) for p, sets in of.items() for _, item in _all(sets)}
        images, labels = {"": _merged(images)}, {"": _merged(labels)}
    else:
        part_of = {}
    for part, sets in sorted(images.items()):
        if part == "test" and part not in labels:  # as the challenges publish it
            rows += [Row(part, rest, item.stem, [item]) for rest, item in _all(sets)]
            continue
        paired, rule = _one_pair_of_folders(found, sets, labels.get(part, {"": []}))
        rules.append(rule)
        for row in paired:
            said = [part_of.get(str(item.path), "") for item in (*row.images[:1], *row.labels[:1])]
            rows.append(replace(row, part=part or next(filter(None, said), "")))
    for part in sorted(labels.keys() - images.keys()):
        raise ValueError(
            f"{found.directory}: has {part or 'training'} labels, but no images of that part; add the images, or move "
            "the labels away"
        )
    rows = _with_instances(rows, [member for sets in instances.values() for member in _all(sets)])
    return make_layout(rows, _description(images, labels, rules, {row.part for row in rows}))


def _all(sets: _Sets) -> list[Member]:
    return [member for members in sets.values() for member in members]


def _merged(parts: Mapping[str, _Sets]) -> _Sets:
    merged: _Sets = {}
    for sets in parts.values():
        for name, members in sets.items():
            merged.setdefault(name, []).extend(members)
    return merged


def _one_pair_of_folders(found: Listing, images: _Sets, labels: _Sets) -> tuple[list[Row], str]:
    """Rows of the only folder of images and the only folder of labels whose files all belong together."""
    together = _several_folders(found, images, labels)
    if together is not None:
        return together
    results: dict[tuple[str, str], tuple[list[Row], str]] = {}
    errors: list[ValueError] = []
    for image_folder, some in images.items():
        for label_folder, of_them in labels.items():
            try:
                results[image_folder, label_folder] = pair_members(found.directory, some, of_them)
            except ValueError as error:
                errors.append(error)
    if not results:
        raise errors[0]
    if len(results) > 1:
        side = 0 if len({names[0] for names in results}) > 1 else 1
        folders = sorted({names[side] for names in results})
        role, other, sets = ("images", "labels", images) if side == 0 else ("labels", "images", labels)
        globs = [_glob(sets[name]) for name in folders[:2]]
        partner = _glob(_all(labels if side == 0 else images))
        raise QuestionError(
            f"{found.directory}: {' and '.join(f'{name}/' for name in folders)} pair with all {other}, which are the "
            f"{role}? Give --{role} '{globs[0]}' or '{globs[1]}', with --{other} '{partner}'"
        )
    return next(iter(results.values()))


def _several_folders(found: Listing, images: _Sets, labels: _Sets) -> tuple[list[Row], str] | None:
    """One set of files in several folders: ``images_part_1`` and ``_2``, or ``Slide_01`` with ``GT_01``."""
    if len(images) + len(labels) == 2:
        return None
    sides = (images, labels)
    ways = [[_all(sets) for sets in sides]]
    if all(map(_NUMBER.search, [*images, *labels])):
        numbered = [[(_with_number(rest, name), item) for name in sets for rest, item in sets[name]] for sets in sides]
        ways.insert(0, numbered)
    for some, of_them in ways:
        try:
            return pair_members(found.directory, some, of_them)
        except ValueError:
            continue
    return None


def _with_number(rest: tuple[str, ...], folder: str) -> tuple[str, ...]:
    return (*rest, _NUMBER.findall(folder)[-1])


def _glob(members: Sequence[Member]) -> str:
    """A pattern of these files and of those of the same folder in the other parts."""
    item = members[0][1]
    suffix = item.path.name[len(item.stem) :]
    if not item.folders:
        return f"*{suffix}"
    return f"{'**/' if len(item.folders) > 1 else ''}{item.folders[-1]}/*{suffix}"


def _with_instances(rows: list[Row], members: Sequence[Member]) -> list[Row]:
    numbers: dict[tuple[tuple[str, ...], str], Item] = {(rest, item.stem): item for rest, item in members}
    return [replace(row, instances=numbers.get((row.rest, row.name))) for row in rows] if numbers else rows


def _description(images: dict[str, _Sets], labels: dict[str, _Sets], rules: Sequence[str], parts: set[str]) -> str:
    """``images/ and masks/ in train/ and val/, paired by name``."""
    words = []
    for side in (images, labels):
        names = {name for sets in side.values() for name in sets if name}
        names = names or {item.folders[-1] if item.folders else "" for sets in side.values() for _, item in _all(sets)}
        words.append(", ".join(f"{name}/" for name in sorted(names)[:3] if name and len(names) < 4) or "files")
    shown = f", parts {', '.join(sorted(filter(None, parts)))}" if any(parts) else ""
    return f"{words[0]} and {words[1]}{shown}, paired {'; '.join(dict.fromkeys(rules))}"
