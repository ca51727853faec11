# SPDX-License-Identifier: Apache-2.0
"""From the values in a label file to class indices, and the check that a label belongs to its image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey, convert_to_dst_type, convert_to_tensor

from sa2_monai.io.label_colours import label_key
from sa2_monai.io.label_values import (
    NONZERO,
    THRESHOLD,
    WORDS,
    BinaryTable,
    above_threshold,
    from_colour_file,
    from_lossy_file,
    unexplained,
)
from sa2_monai.io.readers.preprocessed import NO_GEOMETRY
from sa2_monai.io.volumes.lattice import fit_grid

__all__ = ["CheckSameSized", "MapLabelsd"]

# What pixels without a label become where the file marks them with a value that is no byte, such as -1.
_IGNORED = 255
_PIECE = 2**17  # voxels that are converted and compared while the processor's cache holds them


def source_name(array: Any, key: Hashable) -> str:
    """File that ``array`` was read from, for messages; ``'key'`` in quotes when the metadata do not know it."""
    name = array.meta.get(ImageMetaKey.FILENAME_OR_OBJ) if isinstance(array, MetaTensor) else None
    return str(name) if name else f"'{key}' (an array without file name)"


class MapLabelsd(MapTransform):
    """Turn the raw values of a label file into class indices 0 .. ``num_classes`` - 1 (0 = background), as ``uint8``.

    Args:
        keys: labels of any numeric dtype and shape. A ``MetaTensor`` keeps its metadata and history.
        num_classes: number of classes with the background, 2 .. 256.
        label_values: which raw value means which class.

            - ``None`` with two classes: 0 is background, 1 or 255 are foreground; both in one file are refused, as 255
              is the mark of pixels without a label as well. ``None`` with more: the values are the class indices.
            - a mapping of raw value to class index, for instance ``{0: 0, 85: 1, 170: 2}`` (keys may be strings of
              digits, as JSON has them, or colours, ``"#ff0000"``). Several raw values may share a class.
            - ``"nonzero"``: every value but 0 is class 1 (instance numbers, smoothed masks). Refused for lossy files,
              in which noise takes the place of 0.
            - ``"threshold"``: values above 127 are class 1, for masks in lossy files (JPEG). In files without loss
              nothing but 0 and 1 are class numbers.
        ignore_value: raw value of pixels without a label, no class. It stays as it is where it is a byte; others (-1,
            65535) become 255. With 255, a mask of two classes that is 0 and 255 has no foreground left unless
            ``label_values`` says otherwise. ``None``: every pixel has a label.
        table_key: entry of the cases that a table is for, ``"case"`` for those of :func:`sa2_monai.data.load_datalist`.
            A case without it comes from elsewhere; MONAI Label puts ``{"image": ..., "label": ...}`` in the place of
            the data list, and its labels hold class indices, as the server had shown them. There a label whose values
            all are class indices is taken as it is; other values of the table are mapped, too, unless the label also
            holds values that mean one class as an index and another one by the table. ``None``: the table is for all.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: at once when the table names a class that does not exist, or gives a class to ``ignore_value``; when
            called, if a label has values that the table does not explain, or that can be read in two ways. The message
            names the file, the values, the table and the hint.
    """

    def __init__(
        self,
        keys: KeysCollection,
        num_classes: int,
        label_values: Mapping[int | str, int] | str | None = None,
        allow_missing_keys: bool = False,
        ignore_value: int | None = None,
        table_key: str | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.table_key = table_key
        if not 2 <= num_classes <= 256:
            raise ValueError(f"num_classes must be 2 to 256 (background included), got {num_classes}.")
        if ignore_value is not None and (0 <= ignore_value < num_classes or num_classes > _IGNORED):
            raise ValueError(f"ignore_value must be no class, none of 0 to {num_classes - 1}, got {ignore_value}.")
        if isinstance(label_values, str) and label_values in WORDS and num_classes != 2:
            raise ValueError(f"label_values {label_values!r} knows two classes, got {num_classes}; give a table.")
        if label_values == THRESHOLD and ignore_value is not None:
            raise ValueError(
                "label_values 'threshold' gives every pixel a class; set ignore_value to null, or a table."
            )
        self.num_classes = num_classes
        self.ignore_value = ignore_value
        self.ignored_index = ignore_value if ignore_value is not None and ignore_value in range(256) else _IGNORED
        self.word = label_values if isinstance(label_values, str) and label_values in WORDS else None
        self.table: dict[int, int] | None = None if self.word else self._read_table(label_values)
        if ignore_value is not None and self.table is not None:
            if isinstance(label_values, Mapping) and ignore_value in self.table:
                raise ValueError(
                    f"label_values gives class {self.table[ignore_value]} to {ignore_value}, the ignore_value. Take it "
                    "out of the table, or set ignore_value to null."
                )
            self.table.pop(ignore_value, None)

    def _read_table(self, label_values: Mapping[int | str, int] | str | None) -> dict[int, int]:
        if label_values is None:
            same = {value: value for value in range(self.num_classes)}
            return BinaryTable({0: 0, 1: 1, 255: 1}) if self.num_classes == 2 else same
        if not isinstance(label_values, Mapping):
            raise ValueError(
                f"label_values must be null, a table of raw value to class index, {NONZERO!r} or {THRESHOLD!r}, got "
                f"{label_values!r}."
            )
        table = {label_key(raw): int(index) for raw, index in label_values.items()}
        wrong = {raw: index for raw, index in table.items() if not 0 <= index < self.num_classes}
        if wrong or not table:
            raise ValueError(
                f"label_values must give class indices 0 to {self.num_classes - 1}, got {wrong or 'an empty table'}. "
                "Correct the table, or add the missing names to class_names."
            )
        return table

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with class indices (``uint8``, same shape) in place of the raw labels of ``keys``."""
        d = dict(data)
        for key in self.key_iterator(d):
            label = convert_to_tensor(d[key])
            listed = self.table_key is None or self.table_key in d
            indices = self._map(label, source_name(d[key], key), listed)
            d[key] = convert_to_dst_type(indices, dst=d[key], dtype=torch.uint8)[0]
        return d

    def _map(self, label: torch.Tensor, name: str, listed: bool) -> torch.Tensor:
        small = _as_bytes(label)
        # Where they fit into 8 bits, without sorting every voxel.
        values = torch.unique(label).tolist() if small is None else _counts(small).nonzero()[:, 0].tolist()
        table: Mapping[int, int] | str = self.word or self.table or {}
        if not listed and self.table is not None and not isinstance(self.table, BinaryTable):
            table = self._table_of_indices(values, name)
        lossy, coloured = partial(from_lossy_file, name), partial(from_colour_file, name)
        wrong = unexplained(values, table, self.ignore_value, lossy, coloured)
        if wrong is not None:
            raise ValueError(f"label {name} has the values {wrong.found}: {wrong.kind}; {wrong.fix}.")
        if self.word == NONZERO:
            indices = (label != 0).to(torch.uint8)
        elif self.word == THRESHOLD:
            indices = above_threshold(label, from_lossy_file(name)).to(torch.uint8)
        else:
            assert not isinstance(table, str)
            indices = _looked_up(label, small, {value: table[value] for value in values if table.get(value)})
        if self.ignore_value is not None:
            indices[label == self.ignore_value] = self.ignored_index
        return indices

    def _table_of_indices(self, values: Sequence[Any], name: str) -> dict[int, int]:
        """Class indices stand for themselves; other values of the table are mapped where that cannot be a mistake."""
        assert self.table is not None
        indices = {value: value for value in range(self.num_classes)}
        raw = [value for value in values if value not in indices and value in self.table and value != self.ignore_value]
        twofold = [value for value in values if value in indices and self.table.get(value, value) != value]
        if raw and twofold:
            raise ValueError(
                f"label {name} is not from the data list of the data set, so class indices 0 to "
                f"{self.num_classes - 1} are expected. It has the values {_shown(raw)}, which only files of the data "
                f"set have, and {_shown(twofold)}, which there mean other classes: {self.table}. "
                "Write it with class indices, or train on the folder of the data set."
            )
        return {**self.table, **indices}


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values[:8]) + (", ..." if len(values) > 8 else "")


def _as_bytes(label: torch.Tensor) -> torch.Tensor | None:
    """The same values as ``uint8``; ``None`` where there are others than 0 .. 255."""
    if label.dtype == torch.uint8:
        return label
    small = torch.empty_like(label, dtype=torch.uint8)  # in the same order of memory
    for piece, values in zip(_pieces(small), _pieces(label), strict=True):
        piece.copy_(values)
        if not torch.equal(piece.to(label.dtype), values):
            return None
    return small


def _counts(small: torch.Tensor) -> torch.Tensor:
    """How often each of the 256 values occurs."""
    counts = torch.zeros(256, dtype=torch.int64, device=small.device)
    for piece in _pieces(small):
        counts += torch.bincount(piece.flatten(), minlength=256)
    return counts


def _pieces(label: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Parts of a label map, of any shape, as they follow in its memory."""
    slowest = max(range(label.ndim), key=lambda axis: (label.shape[axis] > 1, label.stride(axis)))
    return label.split(max(1, _PIECE * label.shape[slowest] // max(label.numel(), 1)), dim=slowest)


def _looked_up(label: torch.Tensor, small: torch.Tensor | None, table: Mapping[Any, int]) -> torch.Tensor:
    """Class of each voxel, 0 where the table has none."""
    if small is None or small.device.type != "cpu":
        indices = torch.zeros(label.shape, dtype=torch.uint8, device=label.device)
        for value, index in table.items():
            indices[label == value] = index
        return indices
    classes = np.zeros(256, np.uint8)
    classes[list(table)] = list(table.values())
    indices = torch.empty_like(small)  # in the same order of memory
    for source, target in zip(_pieces(small), _pieces(indices), strict=True):
        target.numpy()[...] = classes[source.numpy()]  # NumPy makes numbers of eight bytes of what it looks up
    return indices


class CheckSameSized(MapTransform):
    """Check that several items of a case, image and label as a rule, have the same spatial size and place.

    To be placed after loading and ``EnsureChannelFirstd``, and after ``SliceOrientationd`` for volumes, before anything
    resizes. Volumes with an affine must lie on one grid, within 1 % of a voxel.

    Args:
        keys: channel-first arrays (C, ...); the first one sets the size. Absent keys are skipped with
            ``allow_missing_keys=True``.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: when called, naming both files and both sizes, or how far they are apart. Sizes are given in the
            order of the axes.
    """

    def __init__(self, keys: KeysCollection = ("image", "label"), allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary unchanged."""
        d = dict(data)
        present = list(self.key_iterator(d))
        for key in present[1:]:
            first = present[0]
            if tuple(d[key].shape[1:]) != tuple(d[first].shape[1:]):
                raise ValueError(
                    f"{key} {source_name(d[key], key)} has the size {_size(d[key].shape[1:])}, but its {first} "
                    f"{source_name(d[first], first)} has {_size(d[first].shape[1:])}. "
                    f"Give every {first} a {key} of its own size."
                )
            _check_place(d, first, key)
        return d


def _check_place(data: Mapping[Hashable, Any], first: Hashable, key: Hashable) -> None:
    """Refuse volumes whose affines place them elsewhere; arrays without geometry lie anywhere."""
    items = data[first], data[key]
    if not all(isinstance(i, MetaTensor) and i.ndim == 4 and not i.meta.get(NO_GEOMETRY) for i in items):
        return
    like, affine = (item.affine.numpy().astype(float) for item in items)
    fit = fit_grid(items[1].shape[1:], affine, items[0].shape[1:], like)
    if not (fit.same and fit.turn is None):
        where = f"up to {fit.distance:.3g} mm ({fit.voxels:.2g} voxels) from"
        raise ValueError(
            f"{key} {source_name(items[1], key)} lies {where if fit.turn is None else 'in another order of axes than'} "
            f"its {first} {source_name(items[0], first)}. If the voxels do belong together, copy the affine of the "
            f"{first} into the {key}; else resample the {key} to its grid."
        )


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(length) for length in shape)
