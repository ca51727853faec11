# SPDX-License-Identifier: Apache-2.0
"""An average of the weights over the steps of a training, which validates and becomes the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sa2_monai.weights import unwrap

__all__ = ["WeightAverage"]


class WeightAverage:
    """Exponential moving average of weights and running statistics, by ``torch.optim.swa_utils.AveragedModel``.

    After each step of the optimiser: ``average = d * average + (1 - d) * weights``, where d is ``decay``, and in the
    first steps ``(1 + n) / (10 + n)`` for the n steps so far, so that short trainings do not remember their start. The
    statistics of batch normalisations are averaged in the same way, as they belong to the weights; what is counted is
    copied. Steps that a gradient scaler leaves out do not count, but for those of a ``fused`` optimiser, which alone
    knows of them.

    While the evaluator runs, the network has the averaged values, in place; training goes on with its own.
    :class:`CheckpointHandler` saves :attr:`model` as ``model.pt`` and both in ``last_state.pt``.

    Args:
        network: network in training; may be wrapped by ``DistributedDataParallel``.
        optimizer: its optimiser.
        evaluator: validates the average.
        decay: above 0 and below 1, such as 0.999; ``None``: there is no average, and nothing is done.

    Raises:
        ValueError: for a decay out of range.
    """

    def __init__(
        self, network: nn.Module, optimizer: Optimizer, evaluator: Engine | None = None, decay: float | None = None
    ) -> None:
        if decay is not None and not 0 < decay < 1:
            raise ValueError(f"ema is {decay}, expected a decay above 0 and below 1, such as 0.999, or null.")
        self.network = network
        self.optimizer = optimizer
        self.evaluator = evaluator
        self.decay = decay
        self.averaged: AveragedModel | None = None
        if decay is not None:
            self.averaged = AveragedModel(unwrap(network), multi_avg_fn=self._average, use_buffers=True)
            self.averaged.requires_grad_(False)

    @property
    def model(self) -> nn.Module:
        """What validates and is saved: the average, or the network itself."""
        return self.network if self.averaged is None else self.averaged.module

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        if self.averaged is None:
            return
        self.optimizer.register_step_post_hook(self._step)
        if self.evaluator is not None:
            self.evaluator.add_event_handler(Events.STARTED, self._exchange)
            self.evaluator.add_event_handler(Events.COMPLETED, self._exchange)

    def state_dict(self) -> dict[str, torch.Tensor] | None:
        """Average and number of steps; ``None`` when there is no average."""
        return None if self.averaged is None else dict(self.averaged.state_dict())

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what :meth:`state_dict` gave."""
        assert self.averaged is not None
        self.averaged.load_state_dict(state)

    def _step(self, *_: Any) -> None:
        assert self.averaged is not None
        self.averaged.update_parameters(unwrap(self.network))

    def _average(self, averaged: Any, current: Any, steps: torch.Tensor | int) -> None:
        if not averaged[0].is_floating_point():  # counters
            torch._foreach_copy_(averaged, current)
            return
        assert self.averaged is not None
        assert self.decay is not None
        done = int(self.averaged.n_averaged)  # on the host; ``steps`` is a copy of it on the device
        get_ema_multi_avg_fn(min(self.decay, (1 + done) / (10 + done)))(averaged, current, steps)

    @torch.no_grad()
    def _exchange(self, _: Engine) -> None:
        assert self.averaged is not None
        if self.averaged.n_averaged == 0:  # no step yet
            return
        ours, theirs = (unwrap(one).state_dict() for one in (self.network, self.averaged.module))
        for name, tensor in ours.items():
            kept = tensor.clone()
            tensor.copy_(theirs[name])
            theirs[name].copy_(kept)
