# SPDX-License-Identifier: Apache-2.0
"""A volume whose voxels stay as their file has them; intensities are made of the slices that are cut.

A CT of 512 x 512 x 600 voxels takes 315 MB as it is stored, and four times as much as soon as its intensities are
scaled as a whole. Here a batch of slices is scaled when it is wanted, with the arithmetic of MONAI's transforms in
single precision, operation by operation: the values are the same, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import torch
from monai.data import MetaTensor

from sa2_monai.io.readers.stored import STORED, Step, steps_text
from sa2_monai.slices.transfer import to_device

__all__ = ["StoredVolume"]

_BLOCK = 8  # slices that are looked at together


class StoredVolume:
    """Voxels as they are stored, with the steps that are left to do.

    Args:
        voxels: (C, x, y, z), any real dtype, in any order of memory.
        steps: see :mod:`sa2_monai.io.readers.stored`; none: the voxels are intensities.
    """

    def __init__(self, voxels: torch.Tensor, steps: Sequence[Step] = ()) -> None:
        self.voxels = voxels
        self.steps = [tuple(step) for step in steps]

    @classmethod
    def of(cls, image: torch.Tensor) -> StoredVolume:
        """The volume of an image (C, x, y, z), or of a batch with one image, and what its metadata say is left to do.

        Args:
            image: tensor; a ``MetaTensor`` of ``load_image(..., as_stored=True)`` has steps.
        """
        voxels = image.as_tensor() if isinstance(image, MetaTensor) else image
        text = image.meta.get(STORED) if isinstance(image, MetaTensor) else None
        text = text[0] if isinstance(text, (list, tuple)) else text  # of a batch
        return cls(voxels[0] if voxels.ndim == 5 else voxels, json.loads(text) if text else ())

    @staticmethod
    def waits(image: object) -> bool:
        """Whether an image was loaded as its file has it, so that its steps wait for its slices."""
        return isinstance(image, MetaTensor) and STORED in image.meta

    @property
    def shape(self) -> torch.Size:
        """(C, x, y, z)."""
        return self.voxels.shape

    def put_off(self, step: Step, image: MetaTensor) -> MetaTensor:
        """The image this was made :meth:`of`, with one step more; no voxel is touched.

        Args:
            step: to be done last.
            image: with this volume.
        """
        out = MetaTensor(self.voxels, meta=dict(image.meta), applied_operations=image.applied_operations)
        out.meta[STORED] = steps_text([*self.steps, step])
        return out

    def done(self, image: MetaTensor) -> MetaTensor:
        """The image this was made :meth:`of` with all steps done, ``float32`` and as large as that is."""
        whole = torch.cat([block.movedim(0, -1) for block in self.blocks()], dim=-1)
        meta = {name: value for name, value in image.meta.items() if name != STORED}
        return MetaTensor(whole, meta=meta, applied_operations=image.applied_operations)

    def along(self, axis: int) -> torch.Tensor:
        """The slices (B, C, height, width) along an axis of the volume, 0 to 2, as they are stored; a view."""
        return self.voxels.movedim(axis + 1, 0)

    def intensities(self, slices: torch.Tensor, axis: int, start: int) -> torch.Tensor:
        """Do the steps.

        Args:
            slices: of :meth:`along`, or parts of them, as stored, on any device.
            axis: see there.
            start: number of the first one.

        Returns:
            ``float32`` where there are steps, else the slices themselves.
        """
        for name, *values in self.steps:
            if name == "linear":
                slices = _linear(slices, *values)
            elif name == "scale":
                slices = _scaled(slices, *values)
            else:  # slice_maximum
                highest = torch.tensor(values[0], dtype=torch.float32, device=slices.device)
                one_each = axis == 2  # else each slice runs through all that have a maximum
                highest = highest[start : start + len(slices)].reshape(-1, 1, 1, 1) if one_each else highest
                slices = slices.to(torch.float32).clamp(min=0) / torch.where(highest > 0, highest, 1)
        return slices

    def cut(self, axis: int, start: int, stop: int, device: torch.device | None = None) -> torch.Tensor:
        """The intensities of some slices (B, C, height, width): moved as they are stored, then scaled.

        Args:
            axis: see :meth:`along`.
            start: the first slice.
            stop: the one behind the last.
            device: where they are wanted; by default where the volume is.
        """
        slices = self.along(axis)[start:stop]
        return self.intensities(to_device(slices, device or slices.device), axis, start)

    def blocks(self) -> Iterator[torch.Tensor]:
        """Intensities (B, C, x, y), ``float32``, of a few slices after the other along the last axis."""
        for start in range(0, self.shape[-1], _BLOCK):
            yield self.cut(2, start, min(start + _BLOCK, self.shape[-1])).to(torch.float32)


def _linear(stored: torch.Tensor, slope: float, intercept: float) -> torch.Tensor:
    if stored.device.type == "mps":  # without double precision
        return _linear(stored.cpu(), slope, intercept).to(stored.device)
    return (stored.to(torch.float64) * slope + intercept).to(torch.float32)


def _scaled(stored: torch.Tensor, low: float, span: float, clip: bool) -> torch.Tensor:
    """As ``ScaleIntensityRange`` from ``low`` on to [0, 1]; numbers on the device of the values, where CUDA divides."""
    lowest, width = (torch.full((), number, dtype=torch.float32, device=stored.device) for number in (low, span))
    values = stored.to(torch.float32)
    values = values - lowest if values is stored else values.sub_(lowest)
    values.div_(width).add_(0.0)
    return values.clamp_(0.0, 1.0) if clip else values
