# SPDX-License-Identifier: Apache-2.0
"""End of a training that no longer improves."""

from __future__ import annotations

import logging
from typing import Any

from ignite.engine import Engine, Events

__all__ = ["EarlyStop"]

logger = logging.getLogger(__name__)


class EarlyStop:
    """Stop the training when the best validation is more than ``patience`` epochs old.

    Counts epochs from the evaluator's ``best_metric_epoch``, which :class:`CheckpointHandler` restores, so it goes on
    counting after a resume, and a training that had stopped does not start again. List it after
    ``CheckpointHandler``, on all processes.

    Args:
        evaluator: evaluator whose key metric selects; run by a ``ValidationHandler``.
        patience: epochs without a new best that are still allowed, >= 1. Published for SA2-Net: 50.

    Raises:
        ValueError: for a patience below 1.
    """

    def __init__(self, evaluator: Any, patience: int) -> None:
        if patience < 1:
            raise ValueError(f"EarlyStop: patience must be at least 1 epoch, got {patience}.")
        self.evaluator = evaluator
        self.patience = patience

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.STARTED, self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Stop the engine when it is time."""
        best = self.evaluator.state.best_metric_epoch
        if best >= 1 and engine.state.epoch - best > self.patience:
            logger.info(
                "training stops after epoch %d: the best validation was in epoch %d, more than %d epochs ago.",
                engine.state.epoch,
                best,
                self.patience,
            )
            engine.terminate()
