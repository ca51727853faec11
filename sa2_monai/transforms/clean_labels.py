# SPDX-License-Identifier: Apache-2.0
"""Post-processing of label maps of volumes: largest component, minimum volume, holes, class by class."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from sa2_monai.aliases import lazy_module
from sa2_monai.slices.labels import source_name

__all__ = ["CleanLabelsd", "Removed"]

ndimage = lazy_module("scipy.ndimage")

Classes = bool | int | Sequence[int] | None


@dataclass
class Removed:
    """What ``min_volume`` has done to a class.

    Attributes:
        maps: label maps that had the class.
        emptied: those of them that have nothing left of it.
        largest: volume of the largest piece that was removed, in mm³.
        minimum: that it was compared with, in mm³.
    """

    maps: int = 0
    emptied: int = 0
    largest: float = 0.0
    minimum: float = 0.0


class CleanLabelsd(MapTransform):
    """Clean label maps: remove what is too small, keep the largest piece, fill holes. Everything is off by default.

    Pieces are connected through faces, edges and corners. First pieces are removed (they become background), then holes
    are filled, the class in the smallest box first, so that a hole belongs to the innermost class around it. A hole is
    background that cannot reach the border of the array without crossing the class; other classes in it stay. Each
    class is looked at in its own boxes, so that a large volume with small organs costs little.

    Args:
        keys: label maps (1, X, Y, Z), or (1, H, W), whole numbers of any dtype, 0 = background.
        largest_component: classes of which the largest piece alone is kept, a list or one number; ``True`` for all
            foreground classes; ``None`` or ``False`` for none. Of equal pieces one stays.
        fill_holes: classes whose holes are filled, in the same form.
        min_volume: pieces below this volume in mm³ are removed: one number for all foreground classes, or a table of
            class to number (keys may be strings of digits, as JSON has them). Needs the affine of a ``MetaTensor``.
        allow_missing_keys: do not complain about absent keys.

    Attributes:
        removed: what ``min_volume`` has done, by class, since somebody last cleared it.

    Raises:
        ValueError: at once for classes or volumes that make no sense; when called, for an array that is no label map,
            or without affine where one is needed.

    Example::

        CleanLabelsd("pred", largest_component=[1, 6], fill_holes=True, min_volume={2: 500})
    """

    def __init__(
        self,
        keys: KeysCollection,
        largest_component: Classes = None,
        fill_holes: Classes = None,
        min_volume: float | Mapping[int | str, float] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.largest_component = _classes("largest_component", largest_component)
        self.fill_holes = _classes("fill_holes", fill_holes)
        self.min_volume = _volumes(min_volume)
        self.removed: dict[int, Removed] = {}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with cleaned label maps of ``keys``; dtype, metadata and history stay."""
        d = dict(data)
        if not (self.largest_component or self.fill_holes or self.min_volume):
            return d
        for key in self.key_iterator(d):
            name = source_name(d[key], key)
            labels = _label_map(d[key], name)
            if self.min_volume:
                self._clean(labels, _voxel_volume(d[key], name, labels.ndim))
            else:
                self._clean(labels, math.nan)
            d[key] = convert_to_dst_type(labels[None], dst=d[key])[0]
        return d

    def _clean(self, labels: np.ndarray, voxel_mm3: float) -> None:
        """Clean a label map (X, Y, Z) in place."""
        for value, box in enumerate(ndimage.find_objects(labels), start=1):
            minimum = self.min_volume.get(value, self.min_volume.get(ALL, 0.0))
            largest = _named(self.largest_component, value)
            if box is None or not (largest or minimum > 0):
                continue
            lost = _remove_pieces(labels[box], value, largest, minimum / voxel_mm3 if minimum > 0 else 0.0)
            if minimum > 0:  # nothing else takes all of a class
                self._note(value, not (labels[box] == value).any(), lost * voxel_mm3, minimum)
        if self.fill_holes:
            boxes = {value: box for value, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None}
            for value in sorted(boxes, key=lambda value: labels[boxes[value]].size):
                if _named(self.fill_holes, value):
                    _fill_holes(labels[boxes[value]], value)

    def _note(self, value: int, emptied: bool, lost: float, minimum: float) -> None:
        note = self.removed.setdefault(value, Removed(minimum=minimum))
        note.maps += 1
        if emptied:
            note.emptied += 1
            note.largest = max(note.largest, lost)


ALL = 0  # stands for every foreground class; the background itself is never cleaned
BLOCK = 8  # voxels per axis
NEIGHBOURS = {ndim: np.ones((3,) * ndim, dtype=bool) for ndim in (2, 3)}


def _islands(mask: np.ndarray) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Cut a mask into parts that do not touch each other: their boxes, and masks in these.

    A few stray voxels would blow the box of a class up to the whole volume. Blocks of the mask that are not empty are
    joined instead, on a grid 8 times as coarse: what touches lies in neighbouring blocks. A part may hold several
    pieces.
    """
    coarse = mask
    for axis, length in enumerate(mask.shape):
        coarse = np.logical_or.reduceat(coarse, np.arange(0, length, BLOCK), axis=axis)
    parts, count = ndimage.label(coarse, structure=NEIGHBOURS[mask.ndim])
    if count == 1:
        yield (slice(None),) * mask.ndim, mask
        return
    for number, blocks in enumerate(ndimage.find_objects(parts), start=1):
        part = parts[blocks] == number
        box = tuple(slice(s.start * BLOCK, min(s.stop * BLOCK, n)) for s, n in zip(blocks, mask.shape, strict=True))
        for axis in range(mask.ndim):
            part = part.repeat(BLOCK, axis=axis)
        inside = mask[box]
        yield box, inside & part[tuple(slice(n) for n in inside.shape)]


def _remove_pieces(labels: np.ndarray, value: int, largest: bool, min_voxels: float) -> int:
    """Remove pieces of a class in place; return the voxels of the largest one that is too small."""
    size_of_best = lost = 0
    best = None
    for box, mask in _islands(labels == value):
        pieces, count = ndimage.label(mask, structure=NEIGHBOURS[labels.ndim])
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        # A volume is a product of rounded numbers, of NIfTI in single precision: what has exactly the minimum stays.
        keep = sizes >= min_voxels * (1 - 1e-6)
        lost = max(lost, int(sizes[1:][~keep[1:]].max(initial=0)))
        if largest:
            number = 1 + int(np.argmax(sizes[1:]))
            keep &= (np.arange(count + 1) == number) & (sizes > size_of_best)
            if sizes[number] > size_of_best:
                if best is not None:
                    labels[best[0]][best[1]] = 0
                size_of_best, best = sizes[number], (box, pieces == number)
        keep[0] = True
        if not keep.all():
            labels[box][~keep[pieces]] = 0
    return lost


def _fill_holes(labels: np.ndarray, value: int) -> None:
    # What surrounds a hole hangs together, so that it lies in one island.
    for box, mask in _islands(labels == value):
        # One voxel of surroundings joins everything that is open to the outside into one piece, which is number 1.
        outside, count = ndimage.label(np.pad(~mask, 1, constant_values=True))
        if count > 1:
            part = labels[box]
            part[(outside[(slice(1, -1),) * labels.ndim] > 1) & (part == 0)] = value


def _classes(name: str, classes: Classes) -> frozenset[int]:
    if classes is None or classes is False:
        return frozenset()
    if classes is True:
        return frozenset([ALL])
    found = [classes] if isinstance(classes, int) else classes
    if isinstance(found, str) or any(isinstance(c, bool) or not isinstance(c, int) or c < 1 for c in found):
        raise ValueError(f"{name} must be true, false or a list of class numbers from 1, got {classes!r}.")
    return frozenset(found)


def _named(classes: frozenset[int], value: int) -> bool:
    return ALL in classes or value in classes


def _volumes(min_volume: float | Mapping[int | str, float] | None) -> dict[int, float]:
    if min_volume is None or min_volume is False:
        return {}
    try:
        if isinstance(min_volume, Mapping):
            table = {int(value): float(volume) for value, volume in min_volume.items()}
            valid = all(value >= 1 for value in table)
        else:
            table = {ALL: float(min_volume)}
            valid = min_volume is not True
    except (TypeError, ValueError):
        table, valid = {}, False
    if not valid or not all(volume >= 0 and math.isfinite(volume) for volume in table.values()):
        raise ValueError(
            f"min_volume must be a number of mm³ or a table of class number (from 1) to mm³, got {min_volume!r}."
        )
    return {value: volume for value, volume in table.items() if volume > 0}


def _label_map(array: Any, name: str) -> np.ndarray:
    """A writable copy (X, Y, Z) of whole numbers."""
    values = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
    if values.ndim not in (3, 4) or values.shape[0] != 1:
        raise ValueError(f"label map {name}: expected the shape (1, X, Y, Z), got {values.shape}.")
    if values.dtype.kind in "iub":
        return np.array(values[0], dtype=np.uint8 if values.dtype == bool else None)
    with np.errstate(invalid="ignore"):
        whole = values[0].astype(np.int32)
    if not np.array_equal(whole, values[0]):
        raise ValueError(f"label map {name} has values that are no whole numbers. Put AsDiscreted before CleanLabelsd.")
    return whole


def _voxel_volume(array: Any, name: str, ndim: int) -> float:
    if not isinstance(array, MetaTensor):
        raise ValueError(f"min_volume needs the voxel size of {name}, which has no affine. Give a MetaTensor.")
    volume = float(abs(np.linalg.det(np.asarray(array.affine.cpu(), dtype=np.float64)[:3, :3])))
    if not (volume > 0 and math.isfinite(volume)) or ndim != 3:
        raise ValueError(f"min_volume needs a volume with a voxel size, got {volume:g} mm³ per voxel for {name}.")
    return volume
