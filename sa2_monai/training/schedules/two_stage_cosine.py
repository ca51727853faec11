# SPDX-License-Identifier: Apache-2.0
"""The learning rate of SvANet, epoch by epoch."""

from __future__ import annotations

import math

__all__ = ["TwoStageCosine", "first_stage"]


def first_stage(max_epochs: int, fraction: float) -> int:
    """Number of epochs in the first stage of a training: the share of ``max_epochs``, rounded up."""
    return math.ceil(round(fraction * max_epochs, 9))  # 0.1 * 30 is a hair more than 3


class TwoStageCosine:
    """Factor of the learning rate for ``torch.optim.lr_scheduler.LambdaLR``, stepped once per epoch.

    As published for SvANet. A training that starts from weights has two stages, the first one with a frozen encoder.
    Each begins with a linear warm-up over half of the first stage's epochs and falls along a cosine; that of the first
    stage ends at its end, that of the second runs over the whole training. A training from scratch has one stage: one
    warm-up as long as the first stage would be, and one cosine over the whole training. The rate that belongs to an
    epoch arrives in the next one, and the first epoch has the lowest. The factor 1 is the highest rate, which is the
    optimiser's ``lr``; published: 5e-4, lowest 1e-6, start of the warm-ups 5e-5.

    With two stages, trainings of up to 10 epochs have no warm-up.

    Args:
        max_epochs: epochs of the training, at least 1.
        fraction: share of the first stage.
        warm_up: epochs of each warm-up; ``None``, as published, half of the first stage, rounded down, and all of it
            where there is one stage alone.
        start: factor from which a warm-up rises.
        lowest: least factor.
        stages: 2, or 1 for a training from scratch.

    Raises:
        ValueError: for arguments out of range.

    Example::

        optimizer = torch.optim.AdamW(network.parameters(), lr=5e-4)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, TwoStageCosine(max_epochs=100))
    """

    def __init__(
        self,
        max_epochs: int,
        fraction: float = 0.1,
        warm_up: int | None = None,
        start: float = 0.1,
        lowest: float = 0.002,
        stages: int = 2,
    ) -> None:
        if max_epochs < 1:
            raise ValueError(f"TwoStageCosine: max_epochs must be at least 1, got {max_epochs}.")
        if not 0 <= fraction <= 1:
            raise ValueError(f"TwoStageCosine: fraction must be a share from 0 to 1, got {fraction}.")
        if warm_up is not None and warm_up < 0:
            raise ValueError(f"TwoStageCosine: warm_up must be a number of epochs, 0 or more, or None, got {warm_up}.")
        if not 0 <= lowest <= start <= 1:
            raise ValueError(f"TwoStageCosine: expected 0 <= lowest <= start <= 1, got {lowest} and {start}.")
        if stages not in (1, 2):
            raise ValueError(f"TwoStageCosine: stages must be 1 or 2, got {stages}.")
        # Plain attributes: LambdaLR keeps them in its state, so that a resumed training sees a changed schedule.
        self.max_epochs = max_epochs
        self.fraction = fraction
        self.warm_up = warm_up
        self.start = start
        self.lowest = lowest
        self.stages = stages

    def __call__(self, epoch: int) -> float:
        """Factor for the epoch with this index, from 0."""
        if epoch == 0:
            return self.lowest
        e = epoch - 1  # one step late
        share = first_stage(self.max_epochs, self.fraction)
        if self.stages == 1:
            return self._stage(e, e, share, self.max_epochs)
        if e < share:
            return self._stage(e, e, share // 2, share)
        # The second warm-up goes on where the first one began, one epoch ahead; it ends at the highest rate.
        return self._stage(e, e - share + 1, share // 2, self.max_epochs, ahead=1)

    def _stage(self, e: int, steps: int, warm_up: int, period: int, ahead: int = 0) -> float:
        """Linear for the warm-up, then a cosine that reaches the lowest factor in the last epoch of the period."""
        warm_up = warm_up if self.warm_up is None else self.warm_up
        if e + 1 >= period:
            return self.lowest
        if steps < warm_up + ahead:
            return self.start + (1 - self.start) / max(warm_up, 1) * steps
        return self.lowest + (1 - self.lowest) / 2 * (1 + math.cos(math.pi * e / period))
