# SPDX-License-Identifier: Apache-2.0
"""Images and labels that the user names by two patterns, paired by what the patterns leave open."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from sa2_monai.data.layouts.channel_files import stem_of
from sa2_monai.data.layouts.discovery.layout import Layout, QuestionError, Row, make_layout
from sa2_monai.data.layouts.discovery.listing import Item
from sa2_monai.data.layouts.discovery.pairing import Member, pair_members
from sa2_monai.data.layouts.discovery.words import folder_meaning
from sa2_monai.io.problems import listing

__all__ = ["glob_layout"]

_WILD = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]")


def glob_layout(directory: Path, images: str, labels: str) -> Layout:
    """Cases of two patterns.

    Two files belong together where the wildcards stand for the same text in both; else by equal names, or by names
    that differ by one affix.

    Args:
        directory: folder that the patterns are relative to.
        images: such as ``"scans/*/t2.nii.gz"``.
        labels: such as ``"masks/*_lesion.nii.gz"``.

    Raises:
        ValueError: a pattern finds nothing, or partners are missing.
        QuestionError: the patterns do not say which files belong together.
    """
    sides = [_found(directory, images, "images"), _found(directory, labels, "labels")]
    both = sorted(sides[0].keys() & sides[1].keys())
    if both:
        raise QuestionError(
            f"{directory}: {both[0].relative_to(directory)} fits both --images and --labels; narrow one of them"
        )
    words = f"--images {images} and --labels {labels}"
    keys = [_by_key(side) for side in sides]
    if keys[0] is not None and keys[1] is not None and keys[0].keys() == keys[1].keys():
        rows = []
        for key, path in sorted(keys[0].items()):
            part = _part(path.relative_to(directory).parts[:-1])
            name = "_".join(text.strip("/").replace("/", "_") for text in key if text.strip("/")) or stem_of(path)
            rows.append(Row(part, key[:-1], name, [_item(directory, path)], [_item(directory, keys[1][key])]))
        return make_layout(rows, words)
    try:
        rows, rule = _paired(directory, *sides)
    except ValueError as error:
        shown = [listing([str(path.relative_to(directory)) for path in sorted(side)], 2) for side in sides]
        raise QuestionError(
            f"{directory}: {len(sides[0])} images ({shown[0]}) and {len(sides[1])} labels ({shown[1]}) do not pair by "
            "what the patterns leave open; which belong together? Put the * where the names of the cases are, or give "
            "a CSV of pairs (columns image,label)"
        ) from error
    return make_layout(rows, f"{words}, paired {rule}")


def _paired(
    directory: Path, images: dict[Path, tuple[str, ...]], labels: dict[Path, tuple[str, ...]]
) -> tuple[list[Row], str]:
    """By names, in the folders that the patterns leave open; else in all of them together."""
    sides: list[list[Member]]
    sides = [[(side[path][:-1], _item(directory, path)) for path in sorted(side)] for side in (images, labels)]
    try:
        rows, rule = pair_members(directory, *sides)
    except ValueError:
        sides = [[((), item) for _, item in side] for side in sides]
        rows, rule = pair_members(directory, *sides)
    return [replace(row, part=_part(row.images[0].folders)) for row in rows], rule


def _part(folders: tuple[str, ...]) -> str:
    return next((m.part for name in folders[::-1] if (m := folder_meaning(name)).part), "")


def _found(directory: Path, pattern: str, what: str) -> dict[Path, tuple[str, ...]]:
    """Files of a pattern, with the text of each of its wildcards."""
    form, last = "", 0
    for match in _WILD.finditer(pattern):
        wild = match[0]
        form += re.escape(pattern[last : match.start()])
        form += {"**/": "((?:.*/)?)", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}.get(wild, f"({wild})")
        last = match.end()
    expression = re.compile(form + re.escape(pattern[last:]))
    if Path(pattern).is_absolute():
        raise ValueError(f"--{what} is {pattern!r}, expected a pattern relative to {directory}")
    found = {}
    for path in directory.glob(pattern):
        parts = path.relative_to(directory).parts
        match_of = expression.fullmatch("/".join(parts))
        if match_of is not None and not any(name.startswith(".") for name in parts):
            found[path] = tuple(match_of.groups())
    if not found:
        raise ValueError(f"{directory}: no file fits --{what} {pattern!r}; quote it for the shell")
    return found


def _by_key(side: dict[Path, tuple[str, ...]]) -> dict[tuple[str, ...], Path] | None:
    table = {key: path for path, key in side.items()}
    return table if len(table) == len(side) and all(table) else None


def _item(directory: Path, path: Path) -> Item:
    return Item(path, path.relative_to(directory).parts[:-1], stem_of(path))
