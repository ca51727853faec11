# SPDX-License-Identifier: Apache-2.0
"""Label maps as the servers want them that write predictions themselves."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import CastToType, MapTransform

from sa2_monai.inference.instances.transform import outlined
from sa2_monai.io.kinds import kind_of

__all__ = ["ServedLabelsd"]


class ServedLabelsd(MapTransform):
    """Class numbers as MONAI Label and MONAI Deploy take them, ``uint8``.

    MONAI Label wants the map of a 2D image as (W, H). Its writer reads the item ``result_extension``: without one it
    takes that of the image, and JPEG changes class numbers. What a viewer has asked for stays. MONAI Deploy wants
    volumes as (1, x, y, z). Where objects are numbered (``pred_instances``), a line of background lies between those
    that touch, so that each has an outline of its own.

    Args:
        keys: class numbers (1, H, W, 1) of 2D images, or (1, x, y, z).
        kind: of files, ``"images"``, ``"volumes"`` or ``"preprocessed"``.

    Raises:
        ValueError: another kind.
    """

    def __init__(self, keys: KeysCollection, kind: str) -> None:
        super().__init__(keys)
        kind = kind_of(kind)
        self.images = kind == "images"
        self.cast = CastToType(np.uint8)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the maps of ``keys`` in that form."""
        d = dict(data)
        for key in self.key_iterator(d):
            if "pred_instances" in d:
                d[key] = outlined(d[key], d["pred_instances"])
            d[key] = self.cast(d[key][0, :, :, 0].T if self.images else d[key])
        if self.images and d.get("result_extension") is None:
            d["result_extension"] = ".png"
        return d
