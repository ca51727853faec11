# SPDX-License-Identifier: Apache-2.0
"""Where the values of label maps are, in one pass over the arrays and without a temporary of their size.

Every value owns one bit of a word: shifting turns a slab of labels into such words, and a bitwise OR leaves the values
that a block of voxels holds. That runs at the speed of the memory, where a loop over voxels
(:func:`scipy.ndimage.find_objects`) or a comparison per class does not. Blocks that touch make a part of a structure,
so that a false island far away does not blow up the box of an organ to the whole volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.ndimage import find_objects, label

__all__ = ["Box", "tight_box", "unsigned", "value_boxes", "values_of"]

Box = tuple[slice, ...]
_BLOCK = 16
_MANY = 128  # parts of one structure; beyond that (noise) one box for all is better
_SLAB = 1 << 19  # voxels that are looked at together: they and the words made of them stay in the processor's cache


def unsigned(labels: np.ndarray) -> np.ndarray:
    """View or convert a label map to the smallest unsigned type that holds it; booleans and uint8 are not copied.

    Raises:
        ValueError: for a negative value.
    """
    if labels.dtype.kind == "b":
        return labels.view(np.uint8)
    if labels.dtype == np.uint8:
        return labels
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0:
        raise ValueError(f"the label map holds the value {low}, expected values from 0")
    return labels.astype(np.min_scalar_type(high), copy=False)


def values_of(labels: np.ndarray) -> set[int]:
    """The values that occur in an array of unsigned integers."""
    if not labels.size:
        return set()
    bits, high = labels.dtype.itemsize * 8, int(labels.max())
    flat = labels.reshape(-1) if labels.flags.c_contiguous else labels.T.reshape(-1)
    slabs = [flat[start : start + _SLAB] for start in range(0, flat.size, _SLAB)]
    if high >= 8 * bits:  # many classes or the numbers of instances: counting is faster than many words
        return {int(value) for slab in slabs for value in np.flatnonzero(np.bincount(slab))}
    found: set[int] = set()
    for base in range(0, high + 1, bits):
        word = 0
        for slab in slabs:
            word |= int(np.bitwise_or.reduce(_words(slab, base)))
        found |= {base + bit for bit in range(bits) if word >> bit & 1}
    return found


def _words(labels: np.ndarray, base: int) -> np.ndarray:
    """The bit of every label among ``base, base + 1, ...``, 0 for other labels.

    Labels below the base wrap round to large ones, and a shift by more than the width of the word is 0: what does not
    belong to these bits drops out by itself.
    """
    kind = labels.dtype.type
    return np.asarray(np.left_shift(kind(1), labels - kind(base) if base else labels))


def value_boxes(maps: Sequence[np.ndarray], values: Iterable[int]) -> dict[int, list[Box]]:
    """Find the boxes of every value in several maps together.

    Args:
        maps: unsigned integers (:func:`unsigned`) of one shape and type; fastest when the last axis is contiguous.
        values: the values to look for.

    Returns:
        Value -> boxes that do not overlap and hold all voxels of the value in all maps; voxels in different boxes are
        no neighbours. The boxes are whole blocks, not tight. Values that are nowhere are left out.
    """
    kind, shape = maps[0].dtype.type, maps[0].shape
    bits = maps[0].dtype.itemsize * 8
    wanted = sorted({int(value) for value in values if 0 <= int(value) < 1 << bits})
    found: dict[int, list[Box]] = {}
    while wanted:
        base = min(wanted[0], (1 << bits) - bits)
        words = np.bitwise_or.reduce([_blocks(labels, base) for labels in maps])
        while wanted and wanted[0] < base + bits:
            value = wanted.pop(0)
            blocks = (words & kind(1 << (value - base))) != 0
            if blocks.any():
                found[value] = [_voxels(box, shape) for box in _parts(blocks)]
    return found


def _blocks(labels: np.ndarray, base: int) -> np.ndarray:
    """The values ``base, base + 1, ...`` that each block holds, as bits of a word."""
    starts = [np.arange(0, n, _BLOCK) for n in labels.shape]
    words = np.empty([len(s) for s in starts], labels.dtype)
    for row, start in enumerate(starts[0]):
        found = np.bitwise_or.reduce(_words(labels[start : start + _BLOCK], base), axis=0)
        for axis in range(found.ndim):
            found = np.bitwise_or.reduceat(found, starts[axis + 1], axis=axis)
        words[row] = found
    return words


def _parts(blocks: np.ndarray) -> list[Box]:
    """Boxes, in blocks, of what touches; boxes that overlap are joined."""
    numbered, _ = label(blocks, structure=np.ones((3,) * blocks.ndim))
    boxes: list[Box] = find_objects(numbered)
    if len(boxes) > _MANY:
        return [_hull(boxes)]
    done: list[Box] = []
    while boxes:
        box = boxes.pop()
        over = [
            other
            for other in done
            if all(a.start < b.stop and b.start < a.stop for a, b in zip(box, other, strict=True))
        ]
        if over:
            done = [other for other in done if other not in over]
            boxes.append(_hull([box, *over]))
        else:
            done.append(box)
    return sorted(done, key=lambda box: [side.start for side in box])


def _hull(boxes: Sequence[Box]) -> Box:
    return tuple(slice(min(s.start for s in sides), max(s.stop for s in sides)) for sides in zip(*boxes, strict=True))


def _voxels(box: Box, shape: tuple[int, ...]) -> Box:
    return tuple(slice(s.start * _BLOCK, min(s.stop * _BLOCK, n)) for s, n in zip(box, shape, strict=True))


def tight_box(mask: np.ndarray) -> Box:
    """Smallest box that holds a boolean mask, which is not empty."""
    words = mask.view(np.uint8)
    rest = np.bitwise_or.reduce(words, axis=0)
    profiles = [np.bitwise_or.reduce(words.reshape(len(words), -1), axis=1)]
    axes = range(rest.ndim)
    profiles += [np.bitwise_or.reduce(rest, axis=tuple(a for a in axes if a != axis)) for axis in axes]
    ends = [np.flatnonzero(profile) for profile in profiles]
    return tuple(slice(int(hit[0]), int(hit[-1]) + 1) for hit in ends)
