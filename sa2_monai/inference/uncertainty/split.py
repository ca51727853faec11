# SPDX-License-Identifier: Apache-2.0
"""The maps of the uncertainty, taken apart from the labels or probabilities in front of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

from sa2_monai.inference.uncertainty.maps import map_names

__all__ = ["SplitUncertaintyd"]


class SplitUncertaintyd(MapTransform):
    """Put the last channels of a prediction into an item of their own: the maps of the uncertainty.

    Args:
        keys: labels or probabilities with the maps behind them (C, x, y, z), as
            :class:`~sa2_monai.inference.VolumeInferer` gives them.
        uncertainty: which maps, as the inferer was told.
        maps_key: the new item (M, x, y, z).

    Raises:
        ValueError: another choice of maps.
    """

    def __init__(self, keys: KeysCollection, uncertainty: str, maps_key: Hashable = "uncertainty") -> None:
        super().__init__(keys)
        self.maps = len(map_names(uncertainty))
        self.maps_key = maps_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with labels or probabilities at ``keys`` and the maps at ``maps_key``."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key], d[self.maps_key] = d[key][: -self.maps], d[key][-self.maps :]
        return d
