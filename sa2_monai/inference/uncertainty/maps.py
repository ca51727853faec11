# SPDX-License-Identifier: Apache-2.0
"""Maps of the uncertainty of a prediction, from the mean and the variance of its members' probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

__all__ = ["UNCERTAINTIES", "entropy_map", "map_names", "variance_map"]

#: Values of the switch ``uncertainty``, and the maps that each asks for.
UNCERTAINTIES: dict[str, tuple[str, ...]] = {
    "entropy": ("entropy",),
    "variance": ("variance",),
    "all": ("entropy", "variance"),
}


def map_names(uncertainty: str | None) -> tuple[str, ...]:
    """Names of the maps in their order.

    Args:
        uncertainty: value of the switch; ``None`` for no maps.

    Raises:
        ValueError: another value.
    """
    if uncertainty is not None and uncertainty not in UNCERTAINTIES:
        raise ValueError(f"uncertainty is {uncertainty!r}, expected one of {', '.join(UNCERTAINTIES)} or null.")
    return () if uncertainty is None else UNCERTAINTIES[uncertainty]


def entropy_map(planes: Iterable[torch.Tensor], classes: int) -> torch.Tensor:
    """Entropy of probabilities in units of its largest value ``log(classes)``: 0 is certain, 1 knows nothing.

    Only one plane lives at a time.

    Args:
        planes: probabilities of class 0, 1, ..., each (B, 1, H, W); of a network with one channel that of class 1.
        classes: their number; 1 for one channel, which stands for two classes.

    Returns:
        (B, 1, H, W) in [0, 1].
    """
    entropy: torch.Tensor | None = None
    for plane in planes:
        term = _term(plane) + _term(1 - plane) if classes == 1 else _term(plane)
        entropy = term if entropy is None else entropy + term
    assert entropy is not None
    # Interpolated probabilities may exceed a sum of 1 by the last bit.
    return (entropy / math.log(max(classes, 2))).clamp(0, 1)


def variance_map(variance: torch.Tensor, classes: int) -> torch.Tensor:
    """Variance over the members as the map has it: of two classes that of the probability of the second.

    Of more classes it is half of the sum over the classes, so that two classes give the same with a sigmoid and with a
    softmax.

    Args:
        variance: summed over the classes, (B, 1, H, W).
        classes: their number; 1 for one channel.

    Returns:
        (B, 1, H, W), from 0 to 0.25 for two classes, below 0.5 for more.
    """
    return (variance if classes == 1 else variance / 2).clamp(min=0)


def _term(probability: torch.Tensor) -> torch.Tensor:
    return torch.special.entr(probability.clamp(0, 1))  # -p log p, 0 at 0
