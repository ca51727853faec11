# SPDX-License-Identifier: Apache-2.0
"""Names of cases: those of their files, with as much of the path in front as tells equal ones apart."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

__all__ = ["distinct_names"]


def distinct_names(stems: Sequence[str], paths: Sequence[Path], numbers: Sequence[int] | None = None) -> list[str]:
    """Names that differ wherever the paths do.

    Equal names get the nearest folder in front that differs for all of them, joined by an underscore: ``pat1/st1/se1``
    and ``pat2/st1/se1`` become ``pat1_se1`` and ``pat2_se1``. Where no single folder does, all that are needed.

    Args:
        stems: names of the files, without suffix.
        paths: file or folder of each.
        numbers: of the channels, where several files are one image: files of one name are one image wherever they lie,
            as long as their numbers differ.

    Returns:
        A name for each, whatever their order; equal for files of one name in one folder.
    """
    names = list(stems)
    parents = [tuple(reversed(Path(os.path.abspath(path)).parent.parts)) for path in paths]
    equal: dict[str, list[int]] = defaultdict(list)
    for index, stem in enumerate(stems):
        equal[stem].append(index)
    several = [
        (stem, members)
        for stem, members in equal.items()
        if len(members) > len({numbers[index] for index in members} if numbers else [0])
    ]
    joint = "_"
    while True:
        for stem, members in several:
            levels = _telling([parents[index] for index in members])
            for index in members:
                words = [_at(parents[index], level) for level in reversed(levels)]
                names[index] = joint.join([word for word in words if word] + [stem])
        if not _clash(names, stems):
            return names
        joint += "_"


def _clash(names: Sequence[str], stems: Sequence[str]) -> bool:
    """Whether a new name is that of another stem: ``a/b_c`` and ``a_b/c``."""
    owners: dict[str, set[str]] = defaultdict(set)
    for name, stem in zip(names, stems, strict=True):
        owners[name].add(stem)
    return any(len(found) > 1 for found in owners.values())


def _telling(parents: Sequence[tuple[str, ...]]) -> list[int]:
    """Levels above the file, 0 the nearest, by which folders differ."""
    different = len(set(parents))
    if different == 1:
        return []
    depth = max(map(len, parents))
    for level in range(depth):
        if len({_at(parts, level) for parts in parents}) == different:
            return [level]
    levels: list[int] = []
    for level in range(depth):
        if _classes(parents, [*levels, level]) > _classes(parents, levels):
            levels.append(level)
        if _classes(parents, levels) == different:
            break
    return levels


def _classes(parents: Sequence[tuple[str, ...]], levels: Sequence[int]) -> int:
    return len(Counter(tuple(_at(parts, level) for level in levels) for parts in parents))


def _at(parts: tuple[str, ...], level: int) -> str:
    return parts[level].strip("/") if level < len(parts) else ""
