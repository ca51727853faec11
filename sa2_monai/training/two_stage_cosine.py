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

    Two stages, the first one for a training with a frozen encoder. Each has a linear warm-up and falls along a cosine;
    that of the first stage ends at its end, that of the second runs over the whole training. As in the published code
    the rate that belongs to an epoch arrives in the next one, and the first epoch has the lowest. The factor 1 is the
    highest rate, which is the optimiser's ``lr``; published: 5e-4, lowest 1e-6, start of the warm-ups 5e-5.

    Trainings shorter than both warm-ups (some 12 epochs) end before the rate has been at its highest.

    Args:
        max_epochs: epochs of the training, at least 1.
        fraction: share of the first stage.
        warm_up: epochs of each warm-up.
        start: factor from which a warm-up rises.
        lowest: least factor.

    Raises:
        ValueError: for arguments out of range.

    Example::

        optimizer = torch.optim.AdamW(network.parameters(), lr=5e-4)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, TwoStageCosine(max_epochs=100))
    """

    def __init__(
        self, max_epochs: int, fraction: float = 0.1, warm_up: int = 5, start: float = 0.1, lowest: float = 0.002
    ) -> None:
        if max_epochs < 1:
            raise ValueError(f"TwoStageCosine: max_epochs must be at least 1, got {max_epochs}.")
        if not 0 <= fraction <= 1:
            raise ValueError(f"TwoStageCosine: fraction must be a share from 0 to 1, got {fraction}.")
        if warm_up < 1:
            raise ValueError(f"TwoStageCosine: warm_up must be at least 1 epoch, got {warm_up}.")
        if not 0 <= lowest <= start <= 1:
            raise ValueError(f"TwoStageCosine: expected 0 <= lowest <= start <= 1, got {lowest} and {start}.")
        # Plain attributes: LambdaLR keeps them in its state, so that a resumed training sees a changed schedule.
        self.max_epochs = max_epochs
        self.fraction = fraction
        self.warm_up = warm_up
        self.start = start
        self.lowest = lowest

    def __call__(self, epoch: int) -> float:
        """Factor for the epoch with this index, from 0."""
        if epoch == 0:
            return self.lowest
        e = epoch - 1  # one step late
        stage = first_stage(self.max_epochs, self.fraction)
        if e < stage:
            if e == stage - 1:
                return self.lowest
            return self._rise(e) if e < self.warm_up else self._fall(e / stage)
        step = e - stage + 1
        return self._rise(step) if step <= self.warm_up else self._fall(e / self.max_epochs)

    def _rise(self, steps: int) -> float:
        return self.start + (1 - self.start) / self.warm_up * steps

    def _fall(self, part: float) -> float:
        return self.lowest + (1 - self.lowest) / 2 * (1 + math.cos(math.pi * min(part, 1)))
