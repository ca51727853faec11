# SPDX-License-Identifier: Apache-2.0
"""Intensities of each slice for itself, as slices that were saved as images have them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type, convert_to_tensor

from sa2_monai.slices.labels import source_name

__all__ = ["ScaleSliceMaximumd"]


class ScaleSliceMaximumd(MapTransform):
    """Divide each slice of a volume by its own maximum; values below 0 become 0, and so do slices without any above.

    Published for the MR volumes of SvANet. The brightness of an organ then depends on what else the slice shows.

    Args:
        keys: volumes (C, x, y, z), slices along the last axis, or single slices (C, H, W). Channels are taken together.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: when called, for an array of another number of axes.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the volumes of ``keys`` in [0, 1], ``float32``."""
        d = dict(data)
        for key in self.key_iterator(d):
            volume = convert_to_tensor(d[key], track_meta=False, dtype=torch.float32)
            if volume.ndim not in (3, 4):
                raise ValueError(
                    f"{key} {source_name(d[key], key)} has the shape {tuple(volume.shape)}, expected a volume "
                    "(C, x, y, z) or a slice (C, H, W)."
                )
            highest = volume.amax(dim=(0, 1, 2), keepdim=True)
            scaled = volume.clamp(min=0) / torch.where(highest > 0, highest, 1)
            d[key] = convert_to_dst_type(scaled, dst=d[key], dtype=torch.float32)[0]
        return d
