# SPDX-License-Identifier: Apache-2.0
"""Training slices drawn from volumes that stay in memory."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, MultiSampleTrait, Randomizable
from monai.utils import ImageMetaKey, MetaKeys, convert_to_tensor

from sa2_monai.slices.labels import source_name

__all__ = ["SLICE_KEY", "RandSliced", "slices_of_classes"]

#: Entry of a sample, and of its metadata, with the index of the slice in the volume.
SLICE_KEY = "slice_index"

# What a slice keeps of its volume's metadata. The header as a whole would be collated again for every batch.
_KEPT_META = (ImageMetaKey.FILENAME_OR_OBJ, MetaKeys.SPACE, MetaKeys.ORIGINAL_AFFINE)


class RandSliced(Randomizable, MapTransform, MultiSampleTrait):
    """Draw slices along the last axis of a labelled volume; returns a list of samples, which the data loader flattens.

    A share of the samples shows foreground: first a class is drawn among those that the volume has, then a slice that
    shows it, so that small organs are met as often as large ones. The others are drawn from all slices alike, empty
    ones included.

    The first random transform of a chain, so that ``CacheDataset`` (``copy_cache=False``: nothing here changes the
    volume) or ``PersistentDataset`` keep the volumes. Which slices show which class is found once for every label file
    and remembered as long as the label is the same; a label that does not know its file is looked through every time.

    Args:
        keys: volumes (C, x, y, z) to be cut, the label among them, all of one size.
        label_key: the label, (1, x, y, z), integers, 0 is background.
        num_samples: samples per volume and call, at least 1.
        foreground: share of samples with foreground, as a probability in [0, 1]; 0 draws from all slices alike, as the
            published training of slices does. A volume without any foreground is always drawn from so.
        balance_classes: draw a class first; otherwise a slice among all that show any class.
        spread: no slice twice in one call, as long as the volume has others that will do.
        allow_missing_keys: do not complain about absent keys. The label must be there.

    Raises:
        ValueError: arguments out of range; when called, data without a label or without slices, and volumes of
            different sizes, with the names of the files.
    """

    def __init__(
        self,
        keys: KeysCollection,
        label_key: str = "label",
        num_samples: int = 4,
        foreground: float = 0.67,
        balance_classes: bool = True,
        spread: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if num_samples < 1:
            raise ValueError(f"num_samples is {num_samples}, expected at least 1.")
        if not 0 <= foreground <= 1:
            raise ValueError(f"foreground is {foreground}, expected a probability from 0 to 1.")
        self.label_key = label_key
        self.num_samples = num_samples
        self.foreground = foreground
        self.balance_classes = balance_classes
        self.spread = spread
        self._known: dict[tuple[str, tuple[int, ...]], dict[int, np.ndarray]] = {}

    def randomize(self, data: tuple[int, Mapping[int, np.ndarray]]) -> list[int]:  # type: ignore[override]
        """Draw the slices of one call.

        Args:
            data: number of slices, and the slices of each class (:func:`slices_of_classes`).

        Returns:
            Indices of slices, ``num_samples`` of them.
        """
        number, classes = data
        groups = [classes[value] for value in sorted(classes)]
        if groups and not self.balance_classes:
            groups = [np.unique(np.concatenate(groups))]
        everything = np.arange(number)
        drawn: list[int] = []
        for _ in range(self.num_samples):
            wanted = self.R.random_sample() < self.foreground  # drawn for every volume: streams do not depend on labels
            candidates = groups[self.R.randint(len(groups))] if wanted and groups else everything
            if self.spread:
                fresh = candidates[~np.isin(candidates, drawn)]
                candidates = fresh if len(fresh) else candidates
            drawn.append(int(candidates[self.R.randint(len(candidates))]))
        return drawn

    def __call__(self, data: Mapping[Hashable, Any]) -> list[dict[Hashable, Any]]:
        """Return the samples: dictionaries like ``data`` with slices (C, x, y) for ``keys``, and ``slice_index``.

        Slices are copies, independent of the volume and of each other. The affine of a ``MetaTensor`` is that of the
        slice. Other entries are passed on as they are, without a copy.
        """
        self._check(data)
        drawn, labels = self._draw(data[self.label_key])
        samples: list[dict[Hashable, Any]] = [{**data, SLICE_KEY: index} for index in drawn]
        for key in self.key_iterator(dict(data)):
            slices = labels if key == self.label_key else [_cut(data[key], index) for index in drawn]
            for sample, part in zip(samples, slices, strict=True):
                sample[key] = part
        return samples

    def _draw(self, label: Any) -> tuple[list[int], list[torch.Tensor]]:
        """Indices of slices, and these slices of the label."""
        number = label.shape[-1]
        name = label.meta.get(ImageMetaKey.FILENAME_OR_OBJ) if isinstance(label, MetaTensor) else None
        key = (str(name), tuple(label.shape))
        known = {} if self.foreground == 0 else self._known.get(key) if name is not None else None
        if known is not None:
            state = self.R.get_state()
            drawn = self.randomize((number, known))
            slices = [_cut(label, index) for index in drawn]
            if self.foreground == 0 or all(map(_shows, slices, drawn, [known] * len(drawn))):
                return drawn, slices
            # Something before this transform changes the label at random. Nothing has been drawn yet.
            self.R.set_state(state)
        self._known[key] = slices_of_classes(_numpy(label))
        drawn = self.randomize((number, self._known[key]))
        return drawn, [_cut(label, index) for index in drawn]

    def _check(self, data: Mapping[Hashable, Any]) -> None:
        present = [key for key in self.keys if key in data]
        name = source_name(data[present[0]], present[0]) if present else "the data"
        if self.label_key not in data:
            raise ValueError(
                f"{name} has no '{self.label_key}': RandSliced draws training slices from labelled volumes. Add the "
                "label to the data list; for prediction leave this transform out and give whole volumes to the inferer."
            )
        size = tuple(data[self.label_key].shape[1:])
        for key in (self.label_key, *present):
            shape = tuple(data[key].shape)
            if len(shape) != 4 or 0 in shape:
                raise ValueError(
                    f"{key} {source_name(data[key], key)} has the shape {shape}, expected a volume (C, x, y, z)."
                )
            if shape[1:] != size:
                raise ValueError(
                    f"{key} {source_name(data[key], key)} has the size {shape[1:]}, but its label "
                    f"{source_name(data[self.label_key], self.label_key)} has {size}. Both must lie on one grid."
                )


def slices_of_classes(label: np.ndarray) -> dict[int, np.ndarray]:
    """Slices along the last axis that show each class.

    Args:
        label: (1, x, y, z) or (x, y, z), integers (of any dtype) with 0 for the background.

    Returns:
        For each class that occurs, ascending, the indices of its slices, ascending.
    """
    volume = label[0] if label.ndim == 4 else label
    top = volume.max(initial=0)
    if volume.min(initial=0) < 0 or top > 63:
        per_slice = [np.unique(volume[..., index]) for index in range(volume.shape[-1])]
        values = sorted({int(value) for found in per_slice for value in found} - {0})
        shown = np.array([[value in found for value in values] for found in per_slice]).reshape(-1, len(values))
    else:
        bits = _bits(volume, np.uint8 if top < 8 else np.uint16 if top < 16 else np.uint64)
        kind = bits.dtype.type
        values = list(range(1, int(top) + 1))
        shown = (bits[:, None] >> np.array(values, dtype=kind)) & kind(1) > 0
    found = {value: np.flatnonzero(shown[:, column]) for column, value in enumerate(values)}
    return {value: slices for value, slices in found.items() if len(slices)}


def _shows(part: torch.Tensor, index: int, known: Mapping[int, np.ndarray]) -> bool:
    """Whether the slice with this index shows just the classes that are known to be there."""
    return set(np.unique(_numpy(part)).tolist()) - {0} == {value for value, slices in known.items() if index in slices}


def _bits(volume: np.ndarray, kind: type[np.unsignedinteger]) -> np.ndarray:
    """One bit for each class; a slice has the bits of all its voxels. Done in pieces that the memory holds together."""
    bits = np.zeros(volume.shape[-1], dtype=kind)
    if volume.strides[-1] == min(volume.strides):
        for row in volume:
            bits |= np.bitwise_or.reduce(np.left_shift(kind(1), row.astype(kind)), axis=0)
    else:
        for index in range(volume.shape[-1]):
            bits[index] = np.bitwise_or.reduce(np.left_shift(kind(1), volume[..., index].astype(kind)), axis=None)
    return bits


def _numpy(array: Any) -> np.ndarray:
    return array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)


def _cut(volume: Any, index: int) -> torch.Tensor:
    tensor = convert_to_tensor(volume, track_meta=False)[..., index].clone(memory_format=torch.contiguous_format)
    return slice_tensor(tensor, volume.affine, kept_meta(volume), index) if isinstance(volume, MetaTensor) else tensor


def kept_meta(volume: MetaTensor) -> dict[str, Any]:
    """What a slice keeps of its volume's metadata: the names of the file and of the space."""
    return {key: deepcopy(volume.meta[key]) for key in _KEPT_META if key in volume.meta}


def slice_tensor(values: torch.Tensor, affine: torch.Tensor, meta: Mapping[str, Any], index: int) -> MetaTensor:
    """Slice of a volume with its place in it.

    Args:
        values: (C, x, y), not copied.
        affine: of the volume, (4, 4), not changed.
        meta: what :func:`kept_meta` returned, not changed.
        index: of the slice along the last axis; 0 for a 2D image.
    """
    affine = affine.clone()
    if index:
        affine[:3, 3] += index * affine[:3, 2]
    return MetaTensor(values, affine=affine, meta={**deepcopy(dict(meta)), SLICE_KEY: index})
