# SPDX-License-Identifier: Apache-2.0
"""Volumes of any storage order to one order of axes, slices last, and back without a trace."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform
from monai.transforms.spatial.functional import orientation
from monai.utils import MetaKeys, SpaceKeys, TraceKeys

from sa2_monai.aliases import lazy_module
from sa2_monai.io.volumes.lattice import relative_turn
from sa2_monai.slices.labels import source_name
from sa2_monai.slices.stored_volume import StoredVolume

__all__ = ["AXCODES", "SLICE_AXES", "SliceOrientationd"]

nib = lazy_module("nibabel")

#: Order of the axes by the name of the slicing direction. Each letter is the side that the axis runs to: left,
#: posterior, superior. The axes of the slice keep that order among themselves, the slicing axis comes last.
AXCODES = {"axial": "LPS", "coronal": "LSP", "sagittal": "PSL"}
#: Values of ``slice_axis``.
SLICE_AXES = (*AXCODES, "acquisition")

# Axis of the world (right, anterior, superior) -> the plane whose slices it runs through.
_PLANE = ("sagittal", "coronal", "axial")
_SAME_SPACING = 0.01  # relative difference of two spacings that count as one


class SliceOrientationd(MapTransform, InvertibleTransform):
    """Bring volumes into one order of axes by their affine, so that the slices lie along the last axis.

    Only flips and permutations, never a resampling: each axis of an oblique volume counts as the axis of the body that
    it is nearest to, its affine stays true. ``Invertd`` (or ``inverse``) gives back the stored order, voxel for voxel,
    and the affine bit for bit; the inverse is read from the history of the data, so every case may need another one,
    and it may have been loaded in a worker process or come out of a cache on disk.

    All keys end in the same order of axes, which the first one decides; image and label may be stored differently.

    A volume that was loaded ``as_stored`` (:func:`~sa2_monai.slices.load_image`) is turned in its own memory, and
    ``inverse`` does so with its prediction: the one before is gone, but there is never a second copy.

    Args:
        keys: ``MetaTensor`` (C, x, y, z), affines in the space that their metadata name (RAS if none).
        slice_axis: which slices.

            - ``"axial"``, ``"coronal"``, ``"sagittal"``: axes LPS, LSP, PSL (see :data:`AXCODES`); slices run from feet
              to head, from front to back, from right to left.
            - ``"acquisition"``: the direction in which the volume was stacked: the axis whose spacing differs from two
              equal ones (by more than 1 %), the one of the largest spacing if all differ, the last stored one if all
              are equal. The axes are those of the plane nearest to these slices.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: at once for an unknown ``slice_axis``; when called for data that are no volume, and for an affine
            that is not finite or not invertible. The message names the file.
        TypeError: when called, for data without metadata.
    """

    def __init__(self, keys: KeysCollection, slice_axis: str = "axial", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if slice_axis not in SLICE_AXES:
            raise ValueError(f"slice_axis is {slice_axis!r}, expected one of {', '.join(SLICE_AXES)}")
        self.slice_axis = slice_axis

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the volumes of ``keys`` reoriented, their affines with them."""
        d = dict(data)
        axcodes: str | None = None
        first: np.ndarray | None = None  # affine of the first volume when it is turned
        for key in self.key_iterator(d):
            affine = _ras_affine(d[key], key)
            axcodes = axcodes or self.axcodes(affine)
            # Near 45 degrees the nearest axes of the body may differ between two stored orders of one grid: ask only
            # once, and turn what lies on the same axes like the first volume.
            ornt = None if first is None else relative_turn(affine, first)
            if ornt is None:
                ornt = nib.orientations.ornt_transform(
                    nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(axcodes)
                )
            if first is None:
                first = affine @ nib.orientations.inv_ornt_aff(ornt, d[key].shape[1:])
            own = StoredVolume.waits(d[key])
            extra_info = {"orientation": ornt, "original_affine": d[key].affine.numpy().copy(), "in_place": own}
            shape = tuple(d[key].shape[1:])
            d[key] = self.push_transform(_reorient(d[key], ornt, own), orig_size=shape, extra_info=extra_info)
        return d

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the volumes of ``keys``, any number of channels, as they were stored."""
        d = dict(data)
        for key in self.key_iterator(d):
            info = self.pop_transform(d[key])[TraceKeys.EXTRA_INFO]
            ornt = np.asarray(info["orientation"], dtype=float)
            back = nib.orientations.ornt_transform(_identity(), ornt)
            d[key] = _reorient(d[key], back, bool(info.get("in_place", False)))
            d[key].affine = torch.as_tensor(np.asarray(info["original_affine"]))
        return d

    def axcodes(self, affine: np.ndarray) -> str:
        """Order of axes for a volume.

        Args:
            affine: (4, 4), voxel to millimetres, RAS.

        Returns:
            A value of :data:`AXCODES`.
        """
        if self.slice_axis != "acquisition":
            return AXCODES[self.slice_axis]
        axis = _stacking_axis(np.linalg.norm(affine[:3, :3], axis=0))
        return AXCODES[_PLANE[int(nib.orientations.io_orientation(affine)[axis, 0])]]

    def _transforms_match(self, transform: Mapping) -> bool:
        # MONAI compares addresses of objects, which change when data come from a cache on disk or a spawned process.
        return bool(transform.get(TraceKeys.CLASS_NAME) == type(self).__name__)


def _stacking_axis(spacing: np.ndarray) -> int:
    same = np.abs(spacing[:, None] - spacing[None, :]) <= _SAME_SPACING * spacing.max()
    partners = same.sum(axis=0) - 1
    if sorted(partners) == [0, 1, 1]:  # the pixels of a slice are square, nearly always
        return int(np.argmin(partners))
    # The largest, and the last stored one of several.
    return int(np.flatnonzero(spacing >= spacing.max() * (1 - _SAME_SPACING))[-1])


def _identity() -> np.ndarray:
    return np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])


def _reorient(volume: MetaTensor, ornt: np.ndarray, in_place: bool) -> MetaTensor:
    """Flip and permute, with the affine, and without an entry in the history: by MONAI, or in the volume's memory."""
    if not in_place:
        return orientation(volume, volume.affine.numpy(), ornt.copy(), lazy=False, transform_info=None)
    affine = volume.affine.numpy() @ nib.orientations.inv_ornt_aff(ornt, volume.shape[1:])
    turned = volume.as_tensor()
    flip_in_place(turned, [axis + 1 for axis in range(3) if ornt[axis, 1] == -1])
    turned = turned.permute(0, *(np.argsort(ornt[:, 0]) + 1).tolist())
    meta = {**volume.meta, MetaKeys.AFFINE: torch.as_tensor(affine, dtype=torch.float64)}
    return MetaTensor(turned, meta=meta, applied_operations=volume.applied_operations)


def flip_in_place(volume: torch.Tensor, axes: Sequence[int]) -> None:
    """Flip a tensor without a second one, layer by layer as they follow in its memory.

    Args:
        volume: (C, x, y, z).
        axes: 1 to 3.
    """
    if not axes:
        return
    slowest = max((1, 2, 3), key=volume.stride)
    layers = volume.split(1, dim=slowest)
    partners = layers[::-1] if slowest in axes else layers
    for layer, partner in zip(layers[: (len(layers) + 1) // 2] if slowest in axes else layers, partners, strict=False):
        flipped = layer.flip(axes)
        if partner is not layer:
            layer.copy_(partner.flip(axes))
        partner.copy_(flipped)


def _ras_affine(volume: Any, key: Hashable) -> np.ndarray:
    if not isinstance(volume, MetaTensor):
        raise TypeError(
            f"'{key}' is a {type(volume).__name__} without an affine, expected a MetaTensor; load it with image_only "
            "true and metadata tracking on (monai.data.set_track_meta)."
        )
    name = source_name(volume, key)
    if volume.ndim != 4:
        raise ValueError(
            f"{key} {name} has the shape {tuple(volume.shape)}, expected a volume (C, x, y, z); "
            "a single image belongs to a bundle for images, a time series must be cut into its volumes."
        )
    affine = volume.affine.numpy().astype(float)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ValueError(
            f"{key} {name} has the affine {np.round(affine, 4).tolist()}, expected a finite, invertible 4 x 4 matrix; "
            "the header is damaged, write the file anew with its true spacing and orientation."
        )
    lps = SpaceKeys(volume.meta.get("space", SpaceKeys.RAS)) == SpaceKeys.LPS
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine if lps else affine
