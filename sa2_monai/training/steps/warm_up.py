# SPDX-License-Identifier: Apache-2.0
"""A learning rate that rises in the first epochs, in front of any schedule."""

from __future__ import annotations

import logging
from typing import Any

from ignite.engine import Engine, Events
from torch.optim import Optimizer

__all__ = ["WarmUp"]

logger = logging.getLogger(__name__)


class WarmUp:
    """Multiply the rate that the schedule gives by a factor that rises with each iteration to 1.

    The factor is ``k / n`` in iteration k of the n in the first epochs, on top of the schedule, which goes on
    underneath. It is there during the step of the optimiser alone: schedules, states and logs see the rate without it,
    and a resumed training needs nothing but the number of its iteration.

    Args:
        optimizer: whose steps are smaller.
        epochs: number of the first epochs, 0 for none; may be a fraction.

    Raises:
        ValueError: for a negative number.
    """

    def __init__(self, optimizer: Optimizer, epochs: float = 0) -> None:
        if epochs < 0:
            raise ValueError(f"warmup_epochs is {epochs}, expected a number of epochs, 0 or more.")
        self.optimizer = optimizer
        self.epochs = epochs
        self._engine: Engine | None = None
        self._rates: list[Any] = []

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        self._engine = engine
        if self.epochs:
            self.optimizer.register_step_pre_hook(self._lower)
            self.optimizer.register_step_post_hook(self._restore)
            engine.add_event_handler(Events.STARTED, self._tell)

    def factor(self) -> float:
        """Factor of the present iteration, above 0 and at most 1."""
        state = self._engine.state  # type: ignore[union-attr]
        return min(1.0, state.iteration / max(1.0, self.epochs * (state.epoch_length or 1)))

    def _lower(self, *_: Any) -> None:
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            group["lr"] = group["lr"] * self.factor()

    def _restore(self, *_: Any) -> None:
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate

    def _tell(self, engine: Engine) -> None:
        if engine.state.epoch < self.epochs:
            logger.info(
                "warm-up: the learning rate of the schedule, which is logged, is multiplied by a factor that rises to "
                "1 in the first %g epochs.",
                self.epochs,
            )
