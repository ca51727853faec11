# SPDX-License-Identifier: Apache-2.0
"""The slices of one case in memory: as small as they are without a loss, and quick to take one out of."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import ensure_tuple

from sa2_monai.aliases import lazy_module
from sa2_monai.io.kinds import kind_of
from sa2_monai.io.volumes.read import volume_header
from sa2_monai.slices.draw import SLICE_KEY, kept_meta, slice_tensor, slices_of_classes
from sa2_monai.slices.labels import source_name
from sa2_monai.slices.orientation import SliceOrientationd

__all__ = ["Stack", "StoredCase", "slice_counter"]

nib = lazy_module("nibabel")

_BLOCK = 2**17  # values that are looked at together: what the processor's cache holds of them
_REST = 8  # last bits of a float's pattern that do not lead to its code
_SIGNED = {1: np.uint8, 2: np.int16}  # tensors of two unsigned bytes can hardly be used


class Stack:
    """Slices without loss. Floats of few different values become numbers of a table, as they were in their file.

    A CT in a window has a few hundred different values, an MR of 16 bits at most 65,536, a photograph 256: their scaled
    floats take one or two bytes here instead of four, and come back bit for bit. Everything else is kept as it is.

    The memory is that of tensors: processes that are forked share it, others get it through shared memory.

    Args:
        array: (C, x, y, z), a volume with its slices along the last axis, or (C, H, W), one 2D image.
    """

    # No __dict__: MONAI looks through those of everything in a dataset for generators, at every epoch.
    __slots__ = ("codes", "table")

    def __init__(self, array: Any) -> None:
        values = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
        values = values[..., None] if values.ndim == 3 else values
        coded = _coded(values) if values.dtype == np.float32 else None
        codes, table = coded or (_by_slice(values), None)
        self.codes = torch.from_numpy(codes if table is None else codes.view(_SIGNED[codes.itemsize]))
        self.table = None if table is None else torch.from_numpy(table)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Slice (C, x, y), a copy, in the type that the array had."""
        if self.table is None:
            return self.codes[index].clone()
        codes = self.codes[index].numpy()
        return torch.from_numpy(self.table.numpy().take(codes.view(f"u{codes.dtype.itemsize}")))


def _by_slice(values: np.ndarray) -> np.ndarray:
    """Copy with the slices first."""
    slices = np.empty((values.shape[-1], *values.shape[:-1]), values.dtype)
    for source, target in _blocks(values, slices):
        target[...] = source
    return slices


def _coded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Places in a table, of one or two bytes, slices first, and the table in the order in which its values are met.

    The first bits of a pattern lead to its code, so that nothing has to be sorted. Where two patterns begin alike, or
    there are more of them than two bytes can number, the answer is ``None``.
    """
    slices = np.empty((values.shape[-1], *values.shape[:-1]), np.uint16)
    # Only those pages of the two take memory that are written to.
    known, codes = np.zeros(2 ** (32 - _REST), np.uint32), np.zeros(2 ** (32 - _REST), np.uint16)
    known[0] = 2**32 - 1  # a pattern that begins otherwise: zero has to be met, too
    table = np.empty(0, np.uint32)
    for source, target in _blocks(values, slices):
        patterns = np.ascontiguousarray(source).view(np.uint32)
        places = (patterns >> _REST).astype(np.intp)
        missed = known.take(places, mode="wrap") != patterns  # none is beyond the end, and wrap does not look for any
        if missed.any():
            new = np.unique(patterns[missed])
            first, table = len(table), np.concatenate([table, new])
            if len(table) > 2**16:
                return None
            known[new >> _REST], codes[new >> _REST] = new, np.arange(first, len(table))
            if (known[table >> _REST] != table).any():
                return None
        target[...] = codes.take(places, mode="wrap")
    return slices.astype(np.uint8) if len(table) <= 2**8 else slices, table.view(np.float32)


def _blocks(values: np.ndarray, slices: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same parts of a volume (C, x, y, z) and of its slices (z, C, x, y), as they follow in the volume's memory.

    Turning a volume into slices this way takes a fifth of the time that it takes as a whole.
    """
    axes = sorted(range(4), key=lambda axis: (values.shape[axis] > 1, values.strides[axis]), reverse=True)
    source, target = values.transpose(axes), np.moveaxis(slices, 0, -1).transpose(axes)
    step = max(1, _BLOCK * len(source) // source.size)
    for start in range(0, len(source), step):
        yield source[start : start + step], target[start : start + step]


class StoredCase:
    """One case after its deterministic steps.

    Args:
        case: the dictionary; the arrays of ``keys`` of one size, volumes (C, x, y, z) or 2D images (C, H, W).
        keys: the arrays to be cut into slices; those that are absent are left out.
        label_key: one of them, the label.

    Raises:
        ValueError: no label, no slices, arrays of other shapes or of different sizes. The message names the files.
    """

    __slots__ = ("_stacks", "_where", "is_volume", "number", "others")

    def __init__(self, case: Mapping[Hashable, Any], keys: tuple[Hashable, ...], label_key: Hashable) -> None:
        present = [key for key in keys if key in case]
        _check(case, present, label_key)
        self._stacks = {key: Stack(case[key]) for key in present}
        self._where = {
            key: (case[key].affine.clone(), kept_meta(case[key]))
            for key in present
            if isinstance(case[key], MetaTensor)
        }
        self.others = {key: value for key, value in case.items() if key not in self._stacks}
        self.is_volume = case[label_key].ndim == 4
        self.number = len(self._stacks[label_key])

    def __getitem__(self, index: int) -> dict[Hashable, Any]:
        """One slice as a sample: (C, x, y) of each key, with the file's name and the slice's own affine."""
        sample: dict[Hashable, Any] = {**self.others, SLICE_KEY: index}
        for key, stack in self._stacks.items():
            sample[key] = slice_tensor(stack[index], *self._where[key], index) if key in self._where else stack[index]
        return sample

    def classes(self, label_key: Hashable) -> dict[int, np.ndarray]:
        """For each class in the label its slices, ascending."""
        stack = self._stacks[label_key]
        volume = stack.codes.numpy() if stack.table is None else np.stack([stack[i].numpy() for i in range(len(stack))])
        return slices_of_classes(np.moveaxis(volume, 0, -1))


def _check(case: Mapping[Hashable, Any], present: list[Hashable], label_key: Hashable) -> None:
    if label_key not in present:
        name = source_name(case[present[0]], present[0]) if present else "a case"
        raise ValueError(
            f"{name} has no '{label_key}': training needs images with their labels. Add the label to the data list, or "
            "leave the case out."
        )
    size = tuple(case[label_key].shape[1:])
    for key in present:
        shape, name = tuple(case[key].shape), source_name(case[key], key)
        if len(shape) not in (3, 4) or 0 in shape:
            raise ValueError(
                f"{key} {name} has the shape {shape}, expected a volume (C, x, y, z) or an image (C, H, W)."
            )
        if shape[1:] != size:
            raise ValueError(
                f"{key} {name} has the size {shape[1:]}, but its label {source_name(case[label_key], label_key)} has "
                f"{size}. Both must lie on one grid."
            )


def slice_counter(kind: str, slice_axis: str = "axial", key: str = "image") -> Callable[[Mapping[str, Any]], int]:
    """Function that counts the slices of a case without reading its voxels.

    Args:
        kind: of the files: ``"volumes"``; ``"images"`` and ``"preprocessed"`` hold one slice each.
        slice_axis: see :class:`~sa2_monai.slices.SliceOrientationd`.
        key: entry with the file name of the image, or the list of them.

    Returns:
        Function of a case.

    Raises:
        ValueError: another kind or axis; when called, for a header that cannot be used.
    """
    kind = kind_of(kind)
    orientation = SliceOrientationd(key, slice_axis)

    def count(case: Mapping[str, Any]) -> int:
        if kind != "volumes":
            return 1
        header = volume_header(ensure_tuple(case[key])[0])
        wanted = nib.orientations.axcodes2ornt(orientation.axcodes(header.affine))
        turn = nib.orientations.ornt_transform(nib.orientations.io_orientation(header.affine), wanted)
        return int(header.shape[int(np.flatnonzero(turn[:, 0] == 2)[0])])

    return count
