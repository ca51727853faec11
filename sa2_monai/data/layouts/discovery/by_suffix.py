# SPDX-License-Identifier: Apache-2.0
"""Photographs and label maps of one name in one folder: ``a.jpg`` and ``a.png``."""

from __future__ import annotations

from collections.abc import Sequence

from sa2_monai.data.layouts.discovery.layout import Layout, QuestionError, Row, make_layout
from sa2_monai.data.layouts.discovery.listing import Item, Listing, suffix_of
from sa2_monai.io.images.read import is_lossy

__all__ = ["suffix_layout"]


def suffix_layout(found: Listing) -> Layout | None:
    """Cases of two files of one name each, of which one kind is a photograph by its compression, the other is not.

    Args:
        found: the files.

    Returns:
        ``None`` where the files do not come in such pairs.

    Raises:
        QuestionError: they do, but which is the label cannot be told.
    """
    pairs: dict[tuple[tuple[str, ...], str], list[Item]] = {}
    for item in found.items:
        pairs.setdefault((item.folders, item.stem), []).append(item)
    suffixes = {tuple(sorted(suffix_of(item.path) for item in items)) for items in pairs.values()}
    if found.kind != "images" or len(suffixes) != 1 or len(next(iter(suffixes))) != 2:
        return None
    first, second = next(iter(suffixes))
    sides = {
        suffix: _lossy([of for items in pairs.values() for of in items if suffix_of(of.path) == suffix][:3])
        for suffix in (first, second)
    }
    if first == second or len(set(sides.values())) == 1:
        raise QuestionError(
            f"{found.directory}: each image name has a {first} and a {second} file, and it is not certain which is the "
            f"label; give --images '*{first}' --labels '*{second}', or the other way round"
        )
    image, label = (first, second) if sides[first] else (second, first)
    rows = []
    for (_, stem), items in sorted(pairs.items()):
        of = {suffix_of(item.path): item for item in items}
        _, _, part, rest = items[0].meaning()
        rows.append(Row(part, rest, stem, [of[image]], [of[label]]))
    return make_layout(rows, f"{image} images and {label} labels of equal names")


def _lossy(items: Sequence[Item]) -> bool:
    return all(is_lossy(item.path) for item in items)
