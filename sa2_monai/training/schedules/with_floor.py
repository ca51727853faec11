# SPDX-License-Identifier: Apache-2.0
"""Schedules of PyTorch whose lowest rate is in proportion to the rate of each parameter group.

PyTorch gives all groups one lowest rate, above which groups with small rates would rise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, ReduceLROnPlateau

__all__ = ["CosineRestarts", "Plateau"]


class CosineRestarts(CosineAnnealingWarmRestarts):
    """``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts``, whose ``eta_min`` is that of the highest group.

    Args:
        optimizer: its rates are the highest.
        T_0: steps until the first restart.
        eta_min: lowest rate.
        hold_after: steps after which the rate stays at the lowest; ``None``: it never does.
        options: as of the class of torch.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, eta_min: float = 0.0, hold_after: int | None = None, **options: Any
    ) -> None:
        if hold_after is not None:  # else the state is that of earlier versions
            self.hold_after = hold_after
        super().__init__(optimizer, T_0, eta_min=eta_min, **options)

    def get_lr(self) -> list[Any]:
        """Rates of the groups."""
        if self.last_epoch >= getattr(self, "hold_after", math.inf):
            return _floors(self.base_lrs, self.eta_min)
        return [
            floor + (rate - floor) * (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
            for rate, floor in zip(self.base_lrs, _floors(self.base_lrs, self.eta_min), strict=True)
        ]


class Plateau(ReduceLROnPlateau):
    """``torch.optim.lr_scheduler.ReduceLROnPlateau``, whose ``min_lr`` is that of the highest group."""

    def __init__(self, optimizer: Optimizer, min_lr: float = 0.0, **options: Any) -> None:
        floors = _floors([group["lr"] for group in optimizer.param_groups], min_lr)
        super().__init__(optimizer, min_lr=floors, **options)


def _floors(rates: Sequence[Any], lowest: float) -> list[Any]:
    highest = max(rates)
    return [lowest * (rate / highest) if highest > 0 else lowest for rate in rates]
