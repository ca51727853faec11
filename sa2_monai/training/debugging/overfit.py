# SPDX-License-Identifier: Apache-2.0
"""A training on one case must learn it by heart."""

from __future__ import annotations

import logging
from typing import Any

from ignite.engine import Engine, Events

__all__ = ["OverfitCheck", "OverfitError"]

logger = logging.getLogger(__name__)


class OverfitError(ValueError):
    """A training could not learn its only case."""


class OverfitCheck:
    """At the end of a training, compare the best validation on the training case with what is to be expected.

    Args:
        evaluator: validates the case that is trained.
        at_least: key metric (mean Dice) that shows that the case is known, from 0 to 1.

    Raises:
        OverfitError: when training completes and it is not reached.
    """

    def __init__(self, evaluator: Any, at_least: float = 0.8) -> None:
        self.evaluator = evaluator
        self.at_least = at_least

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Compare."""
        best = float(self.evaluator.state.best_metric)
        if best >= self.at_least:
            logger.info("debug: the case is known by heart, Dice %.3f. Data, network, loss and steps work.", best)
            return
        raise OverfitError(
            f"debug: after {engine.state.epoch} epochs on one case its Dice is {max(best, 0):.3f}, expected at least "
            f"{self.at_least:g}. Look at eval/validation.png: are image and label as you expect them? If so, raise "
            "max_epochs or change learning_rate; a loss that does not fall hints at label_values or intensity."
        )
