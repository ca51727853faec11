# SPDX-License-Identifier: Apache-2.0
"""Loss and learning rate of a training, told to MLflow now and then."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine

__all__ = ["TrackedLoss", "loss_of"]


def loss_of(engine: Engine) -> torch.Tensor | float:
    """Loss of the iteration that a trainer has completed; of a trainer that decollates that of the whole batch, too."""
    output = engine.state.output
    first: Any = output[0] if isinstance(output, list) else output
    loss: torch.Tensor | float = first["loss"]  # a number after decollating
    return loss.detach() if isinstance(loss, torch.Tensor) else loss


class TrackedLoss:
    """Log the mean of the loss since the last time and the learning rate, every some iterations and after each epoch.

    It takes the place of what ``MLFlowHandler`` does after each iteration: that cannot read the output of a trainer
    that does not decollate, and takes two entries of the database, 40 ms each on a slow disk, per iteration.

    Args:
        handler: MLflow handler of the trainer.
        interval: iterations between two entries.
    """

    def __init__(self, handler: Any, interval: int) -> None:
        self.handler = handler
        self.interval = interval
        self._losses: list[torch.Tensor] = []

    def __call__(self, engine: Engine) -> None:
        """Take the loss of an iteration, ``engine.state.output["loss"]``."""
        self._losses.append(torch.as_tensor(loss_of(engine)))
        iteration, length = engine.state.iteration, engine.state.epoch_length
        if iteration % self.interval and (not length or iteration % length):
            return
        losses = torch.stack(self._losses).tolist()  # a GPU is waited for here alone
        values = {"train_loss": sum(losses) / len(losses)}
        optimizer = getattr(engine, "optimizer", None)
        if optimizer is not None:
            values["learning_rate"] = float(optimizer.param_groups[0]["lr"])
        self.handler._log_metrics(values, step=iteration)
        self._losses.clear()
