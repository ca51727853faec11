# SPDX-License-Identifier: Apache-2.0
"""A cosine that ends once and stays at its end."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["CosineLR"]


class _Factor:
    """Factor of the rate of a step."""

    def __init__(self, total_iters: int, lowest: float) -> None:
        # Plain attributes: LambdaLR keeps them in its state, so that a resumed training sees a changed schedule.
        self.total_iters = total_iters
        self.lowest = lowest

    def __call__(self, step: int) -> float:
        part = min(step, self.total_iters) / self.total_iters
        return self.lowest + (1 - self.lowest) * (1 + math.cos(math.pi * part)) / 2


class CosineLR(LambdaLR):
    """Half a cosine from the optimiser's rate down to its lowest, where it stays.

    ``torch.optim.lr_scheduler.CosineAnnealingLR`` rises again behind its end.

    Args:
        optimizer: its learning rate is the highest.
        total_iters: steps until the lowest rate, at least 1.
        lowest: factor of the lowest rate, from 0 to 1.

    Raises:
        ValueError: for arguments out of range.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int, lowest: float = 0.0) -> None:
        if total_iters < 1:
            raise ValueError(f"CosineLR: total_iters must be at least 1, got {total_iters}.")
        if not 0 <= lowest <= 1:
            raise ValueError(f"CosineLR: lowest must be a factor from 0 to 1, got {lowest}.")
        super().__init__(optimizer, _Factor(total_iters, lowest))
