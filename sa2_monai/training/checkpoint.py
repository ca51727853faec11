# SPDX-License-Identifier: Apache-2.0
"""Best weights and resume state of a training, each written as a whole or not at all."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch import nn
from torch.optim import Optimizer

from sa2_monai.io.atomic import remove_leftovers
from sa2_monai.training.best_weights import BestWeights
from sa2_monai.training.distributed import rank, world_size
from sa2_monai.training.divergence import refuse_not_finite
from sa2_monai.training.random_state import get_random_state, set_random_state
from sa2_monai.training.settings import (
    optimizer_settings,
    restore_optimizer,
    restore_scheduler,
    scheduler_settings,
)
from sa2_monai.training.state_files import StateFiles
from sa2_monai.training.steps.average import WeightAverage
from sa2_monai.weights import check_info, check_state_dict, plain, save_weights, unwrap
from sa2_monai.weights.save import sidecar_of
from sa2_monai.weights.state import tensors_of

__all__ = ["SELECTIONS", "CheckpointHandler"]

logger = logging.getLogger(__name__)

#: Which epoch makes ``model.pt``.
SELECTIONS = ("best", "last")
_KEYS = ("model", "optimizer", "lr_scheduler", "settings", "engine", "evaluator", "scaler", "random_state", "info")


class CheckpointHandler:
    """Save the best weights to ``model.pt`` and the whole state to ``last_state.pt``, and resume from it.

    - After each epoch whose validation gave a new best key metric: ``model.pt``, a flat state dict with the sidecar
      ``model.json`` (``info``, ``select``, epoch, metric). Only the evaluator's key metric selects.
    - With ``select="last"`` nothing is chosen by a validation: the last weights become ``model.pt`` when training
      completes, so that the cases of the validation can score them without bias.
    - After each ``save_interval`` epochs: ``last_state.pt`` with everything that the next epoch depends on, and its
      checksum. A training that is killed and resumed loses the epochs since then, no more. The state that was there
      becomes ``last_state_before.pt`` and is used, with a warning, should the last one be damaged.
    - With ``keep_best`` the weights of the best few epochs beside it, see :class:`BestWeights`.
    - With an ``average`` that is what is saved as ``model.pt``; the state has both.
    - Without a validation (no evaluator, an empty one): the last weights become ``model.pt`` when training completes.
    - A network with values that are not finite is never saved: the training ends with an error.
    - What an earlier training has left is kept in ``previous/<number>`` when it would be overwritten.

    Together with :class:`EpochSeed`, a resumed training gives the same weights, bit for bit, as one that was never
    interrupted: on a CPU with the same number of threads, on a GPU with ``deterministic: true``
    (:func:`~sa2_monai.bundle.set_numerics`). Settings of optimiser and schedule that were changed in the configuration
    in between are used from there on, the schedule at the step it had reached.

    The place in the list of handlers does not matter, except that ``LoadWeights`` comes before and ``EarlyStop``
    after it. With several processes, all of them have this handler; rank 0 writes, all read; no process waits for
    another.

    Args:
        ckpt_dir: folder for the files; made when needed.
        network: network in training; may be wrapped by ``DistributedDataParallel``.
        optimizer: its optimiser.
        lr_scheduler: its learning rate schedule.
        evaluator: evaluator that a ``ValidationHandler`` runs with the trainer's epoch.
        resume: continue from ``last_state.pt`` when it is there.
        info: what the sidecar shall say about the weights, see :func:`sa2_monai.weights.save_weights`.
        save_interval: epochs between two writings of ``last_state.pt``, >= 1.
        select: ``"best"``: the epoch with the best validation makes ``model.pt``; ``"last"``: the last epoch does.
        keep_best: number of the best epochs whose weights are kept.
        average: of the weights; validated by ``evaluator``.

    Raises:
        ValueError: for a number below 1 and another ``select``; when training starts, for a state that is of
            another network, of another class count or of other settings than ``info``, and when both are damaged.
        DivergedError: instead of saving values that are not finite.
        OSError: when a file cannot be written; the old one is kept then.
    """

    def __init__(
        self,
        ckpt_dir: str | os.PathLike[str],
        network: nn.Module,
        optimizer: Optimizer,
        lr_scheduler: Any = None,
        evaluator: Any = None,
        resume: bool = False,
        info: Mapping[str, Any] | None = None,
        save_interval: int = 1,
        select: str = "best",
        keep_best: int = 1,
        average: WeightAverage | None = None,
    ) -> None:
        if select not in SELECTIONS:
            raise ValueError(f"CheckpointHandler: select is {select!r}, expected one of {', '.join(SELECTIONS)}.")
        if save_interval < 1:
            raise ValueError(f"CheckpointHandler: save_interval must be at least 1 epoch, got {save_interval}.")
        self.model_path = Path(ckpt_dir) / "model.pt"
        self.states = StateFiles(Path(ckpt_dir), _KEYS)
        self.network = network
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.evaluator = evaluator
        self.resume = resume
        self.info = dict(info or {})
        self.save_interval = save_interval
        self.select = select
        self.best = BestWeights(Path(ckpt_dir), keep_best)
        self.average = average or WeightAverage(network, optimizer)  # by default there is none
        # As the configuration says, before the first step changes them.
        self._optimizer_settings = optimizer_settings(optimizer)
        self._scheduler_settings = scheduler_settings(lr_scheduler)
        self._last_saved = 0

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        self.average.attach(engine)
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.COMPLETED, self._complete)

    def _start(self, engine: Engine) -> None:
        if rank() == 0:
            for path in (self.model_path, sidecar_of(self.model_path)):
                remove_leftovers(path)  # of a killed process
            self.states.remove_leftovers()
        if not self.resume and engine.state.epoch == 0 and rank() == 0:
            self.states.move_previous(self.best.folder)
        # Registered only now, behind all handlers of the list: validation and schedule are through when it saves.
        if not engine.has_event_handler(self._epoch_completed, Events.EPOCH_COMPLETED):
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)
        if self.resume and engine.state.epoch == 0:
            if self.states.exist():
                self._restore(engine)
            else:
                logger.info("nothing to resume: %s does not exist. Training starts from scratch.", self.states.last)

    def _epoch_completed(self, engine: Engine) -> None:
        epoch = engine.state.epoch
        self._forget_undefined_best()
        if self.select == "best" and self.evaluator is not None and self.evaluator.state.best_metric_epoch == epoch:
            self._save_model(epoch, "best", float(self.evaluator.state.best_metric))
        metric = self._metric_of(epoch)
        if self.select == "best" and metric is not None and rank() == 0:
            self.best.add(epoch, metric, tensors_of(self.average.model), self._info("best", epoch, metric))
        if epoch % self.save_interval == 0:
            self._save_last(engine)

    def _complete(self, engine: Engine) -> None:
        epoch = engine.state.epoch
        if epoch == 0:
            return
        if self.select == "last":
            logger.info("select is 'last': the weights of epoch %d are saved.", epoch)
            self._save_model(epoch, "last", self._metric_of(epoch))
        elif self.evaluator is None or self.evaluator.state.best_metric_epoch < 1:
            logger.info("no validation gave a best epoch: the weights of the last one (%d) are saved.", epoch)
            self._save_model(epoch, "last")
        if self._last_saved != epoch:
            self._save_last(engine)

    def _metric_of(self, epoch: int) -> float | None:
        """What the validation of an epoch gave; ``None`` when there was none."""
        state = None if self.evaluator is None else self.evaluator.state
        if state is None or state.epoch != epoch or state.key_metric_name not in state.metrics:
            return None
        return float(state.metrics[state.key_metric_name])

    def _forget_undefined_best(self) -> None:
        """Keep a first validation that gave no number from being the best for ever: nothing is greater than NaN."""
        if self.evaluator is not None and math.isnan(float(self.evaluator.state.best_metric)):
            logger.warning("the validation metric is not a number; this epoch cannot be the best.")
            self.evaluator.state.best_metric = -1
            self.evaluator.state.best_metric_epoch = -1

    # Writing: rank 0 only, without any call that other ranks would have to answer.

    def _save_model(self, epoch: int, select: str, metric: float | None = None) -> None:
        refuse_not_finite(unwrap(self.average.model).state_dict(), epoch)
        if rank() != 0:
            return
        self.states.keep_previous(self.model_path)
        save_weights(tensors_of(self.average.model), self.model_path, self._info(select, epoch, metric))
        logger.info("saved the weights of epoch %d to %s.", epoch, self.model_path)

    def _info(self, select: str, epoch: int, metric: float | None) -> dict[str, Any]:
        info = {**self.info, "select": select, "epoch": epoch}
        if self.average.decay is not None:
            info["ema"] = self.average.decay
        if metric is not None:
            info |= {"metric": metric, "metric_name": self.evaluator.state.key_metric_name}
        return info

    def _save_last(self, engine: Engine) -> None:
        refuse_not_finite(unwrap(self.network).state_dict(), engine.state.epoch)
        self._last_saved = engine.state.epoch
        if rank() != 0:
            return
        self.states.save(self._state(engine))

    def _state(self, engine: Engine) -> dict[str, Any]:
        evaluator = None
        if self.evaluator is not None:
            evaluator = {key: plain(getattr(self.evaluator.state, key)) for key in ("best_metric", "best_metric_epoch")}
        scaler = getattr(engine, "scaler", None)
        return {
            "model": dict(unwrap(self.network).state_dict()),
            "optimizer": plain(self.optimizer.state_dict(), "optimizer"),
            "lr_scheduler": None
            if self.lr_scheduler is None
            else plain(self.lr_scheduler.state_dict(), "lr_scheduler"),
            "settings": {"optimizer": self._optimizer_settings, "lr_scheduler": self._scheduler_settings},
            "engine": {key: getattr(engine.state, key) for key in ("epoch", "iteration", "epoch_length")},
            "evaluator": evaluator,
            "scaler": None if scaler is None else plain(scaler.state_dict(), "scaler"),
            "random_state": get_random_state(),
            "info": plain(self.info, "info"),
            "select": self.select,
            "average": self.average.state_dict(),
        }

    # Reading: all ranks.

    def _restore(self, engine: Engine) -> None:
        state, path = self.states.load()
        source = str(path)
        check_state_dict(self.network, state["model"], source)
        check_info(state["info"], self.info, source, "Restore these settings to resume, or start without resume.")
        then = state["settings"]
        restore_optimizer(self.optimizer, state["optimizer"], then["optimizer"], self._optimizer_settings, source)
        if self._scheduler_settings is not None and state["lr_scheduler"] is not None:
            restore_scheduler(
                self.lr_scheduler,
                state["lr_scheduler"],
                then["lr_scheduler"],
                self._scheduler_settings,
                self.optimizer,
            )
        unwrap(self.network).load_state_dict(state["model"])
        self._restore_average(state.get("average"))
        if rank() == 0:
            self.best.forget_after(state["engine"]["epoch"])
        if self.evaluator is not None and state["evaluator"] is not None:
            for key, value in state["evaluator"].items():
                setattr(self.evaluator.state, key, value)
            if self.select == "best" and state.get("select") == "last":  # earlier versions knew nothing but the best
                logger.warning("until here select was 'last': the best epoch is looked for from here on.")
                self.evaluator.state.best_metric = self.evaluator.state.best_metric_epoch = -1
        scaler = getattr(engine, "scaler", None)
        if scaler is not None and state["scaler"]:
            scaler.load_state_dict(state["scaler"])
        if world_size() == 1:  # the file has the generators of rank 0; the others must not draw the same numbers
            set_random_state(state["random_state"])
        self._restore_engine(engine, source, **state["engine"])
        self.states.adopt(self.model_path)

    def _restore_average(self, state: Mapping[str, Any] | None) -> None:
        if self.average.decay is not None and state is not None:
            self.average.load_state_dict(state)
        elif self.average.decay is not None:
            logger.info("the interrupted training had no average of its weights: it begins here.")

    def _restore_engine(
        self, engine: Engine, source: str, epoch: int, iteration: int, epoch_length: int | None
    ) -> None:
        engine.state.epoch = self._last_saved = epoch
        length = engine.state.epoch_length
        # Ignite starts in the middle of an epoch unless the iterations are whole epochs of the present length.
        engine.state.iteration = iteration if length in (None, epoch_length) else epoch * length
        if length != epoch_length:
            logger.warning(
                "an epoch had %s iterations and has %s now: was the data or batch_size changed?", epoch_length, length
            )
        last = engine.state.max_epochs
        if last is not None and epoch >= last:
            logger.info(
                "nothing left to do: %s has completed epoch %d and max_epochs is %d. Raise max_epochs to train on.",
                source,
                epoch,
                last,
            )
        else:
            logger.info("resuming from %s: %d epochs are done, %s in all.", source, epoch, last)
