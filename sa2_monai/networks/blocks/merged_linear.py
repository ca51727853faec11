# SPDX-License-Identifier: Apache-2.0
"""Several linear maps of one input as a single matrix product."""

from __future__ import annotations

from collections.abc import Sequence

from sa2_monai.networks.blocks.linear import Linear

__all__ = ["MergedLinear"]


class MergedLinear(Linear):
    """Several linear maps of the same input, their outputs side by side on the last axis.

    Args:
        in_features: width of the input.
        parts: width of each map's output.
        bias: whether the maps have a bias.

    Shape:
        ``(..., in_features)`` -> ``(..., sum(parts))``. Initialisation treats each part as a layer of its own
        (:func:`~sa2_monai.networks.blocks.init_xavier`).
    """

    def __init__(self, in_features: int, parts: Sequence[int], bias: bool = True) -> None:
        super().__init__(in_features, sum(parts), bias)
        self.parts = list(parts)
