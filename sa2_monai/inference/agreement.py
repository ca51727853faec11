# SPDX-License-Identifier: Apache-2.0
"""Whether two ways to calculate a network give the same: images for it, and what is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["Agreement", "Limits", "classes_of", "compare_logits", "smooth_images"]

#: Share of all pixels below which the Dice of a class says nothing: a few pixels of its border are all of it.
_SMALL = 0.01


@dataclass(frozen=True)
class Limits:
    """What an agreement must reach.

    Attributes:
        equal: least share of pixels with the same class.
        dice: least Dice of any class that has a hundredth of the pixels.
        error: largest root mean square difference of logits, in units of their standard deviation.
    """

    equal: float
    dice: float
    error: float


@dataclass(frozen=True)
class Agreement:
    """How far one answer is from another; see :class:`Limits` for the numbers."""

    equal: float
    dice: float
    error: float

    def reaches(self, limits: Limits) -> bool:
        """Whether all numbers are within their limits; what is not a number is not."""
        return self.equal >= limits.equal and self.dice >= limits.dice and self.error <= limits.error


def compare_logits(expected: torch.Tensor, found: torch.Tensor) -> Agreement:
    """Compare two answers to the same images.

    Args:
        expected: logits (N, K, H, W).
        found: those to be judged.

    Raises:
        ValueError: another shape.
    """
    if found.shape != expected.shape:
        raise ValueError(f"the answer has the shape {list(found.shape)}, expected {list(expected.shape)}")
    found = found.to(expected)
    wanted, got = classes_of(expected), classes_of(found)
    shares = []
    for number in wanted.unique():
        inside = wanted == number
        if inside.float().mean() >= _SMALL:
            both = (inside & (got == number)).sum()
            shares.append(float(2 * both / (inside.sum() + (got == number).sum())))
    error = (found - expected).square().mean().sqrt() / expected.std().clamp_min(1e-12)
    return Agreement(equal=float((got == wanted).float().mean()), dice=min(shares, default=1.0), error=float(error))


def classes_of(logits: torch.Tensor) -> torch.Tensor:
    """Class numbers (N, 1, H, W) of logits (N, K, H, W): sigmoid of at least one half, or the first of the largest."""
    if logits.shape[1] == 1:
        return (torch.sigmoid(logits) >= 0.5).long()
    return logits.argmax(dim=1, keepdim=True)


def smooth_images(shapes: Sequence[Sequence[int]], normalize: Sequence[float] | None = None) -> list[torch.Tensor]:
    """Smooth random images in [0, 1], in which a network has something to find; the same on each call.

    Args:
        shapes: (N, C, H, W) each.
        normalize: mean and divisor that the bundle applies before the network; ``None`` for none.
    """
    generator = torch.Generator().manual_seed(0)
    images = []
    for shape in shapes:
        coarse = torch.rand(*shape[:2], 8, 8, generator=generator)
        image = nn.functional.interpolate(coarse, size=list(shape[2:]), mode="bicubic").clamp(0, 1)
        images.append(image if normalize is None else (image - normalize[0]) / normalize[1])
    return images
