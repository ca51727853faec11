# SPDX-License-Identifier: Apache-2.0
"""The learning rate of DAE-Former, HSA-UNet and MSA2-Net, step by step."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["LatePolynomialLR"]


class _Factor:
    """Factor of the rate of a step."""

    def __init__(self, total_iters: int, power: float) -> None:
        # Plain attributes: LambdaLR keeps them in its state, so that a resumed training sees a changed schedule.
        self.total_iters = total_iters
        self.power = power

    def __call__(self, step: int) -> float:
        done = min(max(step - 1, 0), self.total_iters)
        return float((1 - done / self.total_iters) ** self.power)


class LatePolynomialLR(LambdaLR):
    """Polynomial decay that comes one step late; step it once per iteration.

    The factor is ``(1 - k / n) ** power``, where ``k`` counts the steps that are done. As in the published code the
    rate is set behind a step from the count before it: the first two steps have the highest one, and the decay of
    ``torch.optim.lr_scheduler.PolynomialLR`` follows a step behind.

    Args:
        optimizer: its learning rate is the highest.
        total_iters: ``n``, steps of the whole training, at least 1.
        power: exponent, 0 for a constant rate; published: 0.9.

    Raises:
        ValueError: for arguments out of range.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int, power: float = 0.9) -> None:
        if total_iters < 1:
            raise ValueError(f"LatePolynomialLR: total_iters must be at least 1, got {total_iters}.")
        if power < 0:
            raise ValueError(f"LatePolynomialLR: power must be at least 0, got {power}.")
        super().__init__(optimizer, _Factor(total_iters, power))
