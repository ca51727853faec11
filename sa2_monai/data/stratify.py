# SPDX-License-Identifier: Apache-2.0
"""Folds of one's own data that are alike: patients together, classes, sizes and kinds of images spread evenly."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sa2_monai.data.fingerprint.arrays import read_case, read_label_of
from sa2_monai.data.fingerprint.colours import measure_colours
from sa2_monai.data.fingerprint.facts import Labels
from sa2_monai.data.fingerprint.labels import NO_CLASS, class_map

__all__ = ["Traits", "stratified_folds", "traits_of"]

_DARK = 0.5  # of the background, in parts of white


@dataclass(frozen=True, order=True)
class Traits:
    """What the folds shall have in equal parts.

    Attributes:
        kind: of an image: ``"colour"``, ``"dark"`` or ``"bright"`` background of a grey one; empty where not known.
        classes: numbers of the classes that are there, without the background.
        share: of the pixels with a label that belong to them, in [0, 1].
    """

    kind: str = ""
    classes: tuple[int, ...] = ()
    share: float = 0.0


def traits_of(case: Mapping[str, Any], kind: str, labels: Labels) -> Traits:
    """Look at a case.

    Args:
        case: of a data list, with ``image`` and ``label``.
        kind: of its files: ``"images"``, ``"volumes"`` or ``"preprocessed"``.
        labels: the meaning of the values in its label file.

    Raises:
        OSError, ValueError: a file that cannot be read.
    """
    if kind == "images":
        arrays = read_case(case, kind)
        classes = class_map(arrays.label, labels)
        structures = (classes[..., 0] > 0) & (classes[..., 0] != NO_CLASS)
        colours = measure_colours(np.moveaxis(arrays.image[..., 0], 0, -1), structures, arrays.bits)
        look = "colour" if colours.coloured else "dark" if colours.background < _DARK else "bright"
    else:
        classes, look = class_map(read_label_of(case, kind), labels), ""
    counts = np.bincount(classes.reshape(-1), minlength=NO_CLASS + 1)[:NO_CLASS]
    found = tuple(int(index) for index in np.flatnonzero(counts) if index)
    return Traits(look, found, float(counts[1:].sum() / max(1, counts.sum())))


def stratified_folds(
    names: Sequence[str],
    traits: Sequence[Traits],
    num_folds: int,
    seed: int = 999,
    groups: Sequence[str] | None = None,
) -> list[list[str]]:
    """Divide cases into folds that are alike.

    Cases (groups) of one kind with the same classes make a stratum. The strata are dealt out from the rarest to the
    most common, in each the largest groups first, then by the share of their structures: each to the fold that has the
    fewest cases of the stratum, and among those to the one with the fewest cases; chance decides between equals.
    Without groups, folds then differ by one case at most, in all and in each stratum.

    Args:
        names: of the cases, each once.
        traits: of each case.
        num_folds: number of folds, 2 to the number of groups.
        seed: of ``numpy.random.RandomState``. The result depends on the cases and the seed, not on their order.
        groups: group (patient) of each case, which is never divided.

    Returns:
        For each fold the names that it holds out, sorted.

    Raises:
        ValueError: more folds than groups, or fewer than two.
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(names if groups is None else groups):
        members.setdefault(str(group), []).append(index)
    if not 2 <= num_folds <= len(members):
        raise ValueError(
            f"{len(names)} training cases ({len(members)} independent) are too few for {num_folds} folds; add images, "
            "or lower num_folds"
        )
    units = {group: functools.reduce(_joined, sorted(traits[i] for i in own)) for group, own in members.items()}
    strata: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for group in sorted(units):
        strata.setdefault((units[group].kind, units[group].classes), []).append(group)
    rng = np.random.RandomState(seed)
    folds: list[list[int]] = [[] for _ in range(num_folds)]
    for key in sorted(strata, key=lambda key: (sum(len(members[group]) for group in strata[key]), key)):
        dealt = [0] * num_folds
        for group in sorted(strata[key], key=lambda group: (-len(members[group]), units[group].share, group)):
            chance = rng.permutation(num_folds)
            fold = min(range(num_folds), key=lambda fold: (dealt[fold], len(folds[fold]), chance[fold]))
            folds[fold] += members[group]
            dealt[fold] += len(members[group])
    return [sorted(names[index] for index in fold) for fold in folds]


def _joined(first: Traits, second: Traits) -> Traits:
    """Of a group: all classes of its cases, the largest share, the first kind."""
    classes = tuple(sorted({*first.classes, *second.classes}))
    return Traits(first.kind, classes, max(first.share, second.share))
