# SPDX-License-Identifier: Apache-2.0
"""Statistics of batch normalisations that belong to the weights which validate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader

from sa2_monai.training.steps.average import WeightAverage
from sa2_monai.weights import unwrap

__all__ = ["PreciseStatistics"]

_APART = 10**6  # epochs of the sampler that no training reaches


class PreciseStatistics:
    """Compute the statistics of batch normalisations anew before a validation, by ``torch.optim.swa_utils.update_bn``.

    In training a batch is normalised by its own mean and variance; in evaluation by running ones, which are a mean over
    the last ten steps or so, each with other weights. Where these change quickly or batches are small, evaluation is
    another function than training: the attention of SvANet's decoder multiplies maps with each other, and an image
    that is a little too bright for its statistics overflows. This is the mean over batches of training images, all
    with the present weights (Wu and Johnson, "Rethinking 'Batch' in BatchNorm", https://arxiv.org/abs/2105.07576).

    Which images depends on seed and epoch alone, and the global generators are left as they are: a resumed training
    goes on exactly. Attach it before the handler that saves, to all processes.

    Args:
        network: network in training; may be wrapped by ``DistributedDataParallel``.
        loader: training batches, whose sampler has ``set_epoch``.
        evaluator: validates the network.
        batches: number of batches; 0: the running statistics stay, and nothing is done.
        average: of the weights, which validates if there is one.

    Raises:
        ValueError: for a negative number.
    """

    def __init__(
        self,
        network: nn.Module,
        loader: DataLoader[Any],
        evaluator: Engine,
        batches: int = 0,
        average: WeightAverage | None = None,
    ) -> None:
        if batches < 0:
            raise ValueError(f"precise_bn is {batches}, expected a number of batches, 0 or more.")
        self.network = network
        self.loader = loader
        self.evaluator = evaluator
        self.batches = batches
        self.average = average
        self._done = 0

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        if self.batches and any(isinstance(one, _BatchNorm) for one in unwrap(self.network).modules()):
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.COMPLETED, self._complete)

    def _start(self, _: Engine) -> None:
        # Registered only now, so once; behind the start of the evaluator, where weights are exchanged.
        if not self.evaluator.has_event_handler(self._validate, Events.EPOCH_STARTED):
            self.evaluator.add_event_handler(Events.EPOCH_STARTED, self._validate)

    def _validate(self, evaluator: Engine) -> None:
        """The network has the weights that validate."""
        self._compute(self.network, evaluator.state.epoch)

    def _complete(self, engine: Engine) -> None:
        """For the weights of a last epoch without a validation."""
        if engine.state.epoch > 0 and self._done != engine.state.epoch:
            averaged = self.average is not None and self.average.decay is not None
            self._compute(self.average.model if averaged else self.network, engine.state.epoch)  # type: ignore[union-attr]

    def _compute(self, network: nn.Module, epoch: int) -> None:
        self._done = epoch
        device = next(network.parameters()).device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(epoch)
            update_bn(self._images(epoch), unwrap(network), device)  # type: ignore[arg-type]

    def _images(self, epoch: int) -> Iterator[torch.Tensor]:
        sampler: Any = self.loader.sampler
        left = self.batches
        turn = 0
        while left > 0:
            sampler.set_epoch(_APART * (turn + 1) + epoch)  # other draws than those of the training
            for batch in self.loader:
                if left == 0:
                    break
                left -= 1
                yield batch[CommonKeys.IMAGE]
            turn += 1
        sampler.set_epoch(epoch)
