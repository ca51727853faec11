# SPDX-License-Identifier: Apache-2.0
"""The facts of each epoch of a training, for those who show and keep them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ignite.engine import Engine, Events

from sa2_monai.training.tracking.loss import loss_of

__all__ = ["Epoch", "EpochWatch"]


@dataclass(frozen=True)
class Epoch:
    """What is known of an epoch that is through.

    Attributes:
        number: from 1.
        of: epochs that the training has at most.
        loss: mean over the iterations.
        learning_rate: of its iterations.
        seconds: its validation included.
        dice: mean Dice of its validation, in [0, 1]; ``None`` when it was not validated.
        class_dice: the same by class.
        best: best validation so far, and its epoch; ``None`` when there was none.
        best_epoch: its number.
    """

    number: int
    of: int
    loss: float
    learning_rate: float
    seconds: float
    dice: float | None = None
    class_dice: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_epoch: int | None = None


class EpochWatch:
    """Tell the facts of each epoch when its validation is through, before its state is saved.

    Args:
        evaluator: evaluator that a ``ValidationHandler`` runs.
        class_names: background first.
        listeners: called with each :class:`Epoch`.
    """

    def __init__(self, evaluator: Engine, class_names: Sequence[str], listeners: Sequence[Callable[[Epoch], None]]):
        self.evaluator = evaluator
        self.names = list(class_names)[1:]
        self.listeners = listeners
        self._sum = self._started = self._rate = 0.0
        self._count = 0

    def attach(self, trainer: Engine) -> None:
        """Attach to the trainer, behind the handlers of the configuration."""
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._tell)

    def _start(self, trainer: Any) -> None:
        self._sum, self._count, self._started = 0.0, 0, time.monotonic()
        self._rate = float(trainer.optimizer.param_groups[0]["lr"])  # at the end of an epoch it is that of the next

    def _add(self, trainer: Engine) -> None:
        self._sum, self._count = self._sum + float(loss_of(trainer)), self._count + 1

    def _tell(self, trainer: Engine) -> None:
        state = self.evaluator.state
        metrics = state.metrics if state.epoch == trainer.state.epoch else {}
        best = int(state.best_metric_epoch)  # type: ignore[attr-defined]
        epoch = Epoch(
            number=trainer.state.epoch,
            of=int(trainer.state.max_epochs or trainer.state.epoch),
            loss=self._sum / max(1, self._count),
            learning_rate=self._rate,
            seconds=time.monotonic() - self._started,
            dice=float(metrics["val_mean_dice"]) if "val_mean_dice" in metrics else None,
            class_dice={name: float(metrics.get(f"val_dice_{name}", "nan")) for name in self.names} if metrics else {},
            best=float(state.best_metric) if best > 0 else None,  # type: ignore[attr-defined]
            best_epoch=best if best > 0 else None,
        )
        for listener in self.listeners:
            listener(epoch)
