# SPDX-License-Identifier: Apache-2.0
"""End of a training that no longer improves, or whose time is over."""

from __future__ import annotations

import logging
import time
from typing import Any

from ignite.engine import Engine, Events

from sa2_monai.training.distributed import of_first_process

__all__ = ["EarlyStop"]

logger = logging.getLogger(__name__)


class EarlyStop:
    """Stop the training when the best validation is more than ``patience`` epochs old, or its time is over.

    Counts epochs from the evaluator's ``best_metric_epoch``, which :class:`CheckpointHandler` restores, so it goes on
    counting after a resume, and a training that had stopped does not start again. List it after
    ``CheckpointHandler``, on all processes.

    Args:
        evaluator: evaluator whose key metric selects; run by a ``ValidationHandler``.
        patience: epochs without a new best that are still allowed, >= 1. Published for SA2-Net: 50. ``None`` for no
            limit, where nothing is chosen by the validation (``select: last``).
        time_limit: seconds after which no further epoch is begun that would not be through in time, judged by the
            last one; each start of a training counts anew. ``None`` for no limit. Of several processes the clock of
            the first counts.

    Attributes:
        reason: why it stopped the training, ``"patience"`` or ``"time"``; ``None`` as long as it has not. It stands in
            ``engine.state.stopped``, too.

    Raises:
        ValueError: for a patience below 1 or a time limit that is not positive.
    """

    def __init__(self, evaluator: Any, patience: int | None, time_limit: float | None = None) -> None:
        if patience is not None and patience < 1:
            raise ValueError(f"EarlyStop: patience must be at least 1 epoch, got {patience}.")
        if time_limit is not None and time_limit <= 0:
            raise ValueError(f"EarlyStop: time_limit must be a positive number of seconds, got {time_limit}.")
        self.evaluator = evaluator
        self.patience = patience
        self.time_limit = time_limit
        self.reason: str | None = None
        self._started = self._epoch_started = 0.0

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._check_time)

    def _start(self, engine: Engine) -> None:
        self._started = self._epoch_started = time.monotonic()
        self.reason = engine.state.stopped = None  # type: ignore[attr-defined]
        self(engine)

    def _check_time(self, engine: Engine) -> None:
        now = time.monotonic()
        spent, epoch = now - self._started, now - self._epoch_started
        self._epoch_started = now
        last = engine.state.epoch == engine.state.max_epochs  # nothing is left that could be stopped
        if self.time_limit is not None and not last and of_first_process(spent + epoch > self.time_limit):
            logger.info(
                "training stops after epoch %d: %.0f of %.0f seconds are over and an epoch takes %.0f.",
                engine.state.epoch,
                spent,
                self.time_limit,
                epoch,
            )
            self._stop(engine, "time")

    def __call__(self, engine: Engine) -> None:
        """Stop the engine when it is time."""
        best = self.evaluator.state.best_metric_epoch
        if self.patience is not None and best >= 1 and engine.state.epoch - best > self.patience:
            logger.info(
                "training stops after epoch %d: the best validation was in epoch %d, more than %d epochs ago.",
                engine.state.epoch,
                best,
                self.patience,
            )
            self._stop(engine, "patience")

    def _stop(self, engine: Engine, reason: str) -> None:
        self.reason = engine.state.stopped = reason  # type: ignore[attr-defined]
        engine.terminate()
