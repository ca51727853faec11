# SPDX-License-Identifier: Apache-2.0
"""Flips and quarter turns of images, each with its inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

__all__ = ["Symmetry", "symmetries"]


@dataclass(frozen=True)
class Symmetry:
    """A quarter turn, then a flip of the columns; pixels move, none is calculated.

    Attributes:
        turns: number of quarter turns, from rows to columns.
        flip: whether the columns are flipped behind them.
    """

    turns: int = 0
    flip: bool = False

    def apply(self, images: torch.Tensor) -> torch.Tensor:
        """Turn and flip images (..., H, W)."""
        turned = images.rot90(self.turns, (-2, -1))
        return (turned.flip(-1) if self.flip else turned).contiguous()

    def undo(self, maps: torch.Tensor) -> torch.Tensor:
        """Bring maps (..., H, W) of turned and flipped images back, to the bit."""
        flipped = maps.flip(-1) if self.flip else maps
        return flipped.rot90(-self.turns, (-2, -1))


def symmetries(size: Sequence[int]) -> list[Symmetry]:
    """All flips and turns that keep the size of an image, the one that changes nothing first.

    Args:
        size: rows and columns.

    Returns:
        The 8 of the square, or the 4 of any other rectangle.
    """
    turns = (0, 1, 2, 3) if size[0] == size[1] else (0, 2)
    return [Symmetry(number, flip) for flip in (False, True) for number in turns]
