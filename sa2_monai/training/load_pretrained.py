# SPDX-License-Identifier: Apache-2.0
"""The start of a fine-tuning: weights of a trained network, for other classes or channels if need be."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from ignite.engine import Engine, Events
from torch import nn

from sa2_monai.networks.stages import stages_of
from sa2_monai.training.freeze import FrozenEpochs
from sa2_monai.training.load_weights import continues, result_of
from sa2_monai.weights import Transfer, transfer_weights, unwrap

__all__ = ["LoadPretrained"]

logger = logging.getLogger(__name__)


class LoadPretrained:
    """Load what fits of a trained network when a training starts, and keep it as it is in the first epochs if wanted.

    The log says which tensors are new and what was adapted, at level DEBUG also which were loaded. List it before the
    handlers that save and resume; a resumed training keeps its own weights, and counts its frozen epochs on.

    Args:
        path: weights, run or bundle, see :func:`sa2_monai.weights.transfer_weights`, which also tells the errors;
            ``None``: there is nothing to load.
        network: takes the weights; may be wrapped by ``DistributedDataParallel``.
        info: settings of this training, as they are written beside its weights.
        frozen_epochs: number of the first epochs in which nothing learns but the head and what else is new; see
            :class:`~sa2_monai.training.freeze.FrozenEpochs`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        network: nn.Module,
        info: Mapping[str, Any] | None = None,
        frozen_epochs: int = 0,
    ) -> None:
        self.path = path
        self.network = network
        self.info = info
        self.frozen = FrozenEpochs(network, frozen_epochs)

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.STARTED, self)
        if self.path is not None and self.frozen.epochs:
            self.frozen.attach(engine)

    def __call__(self, engine: Engine) -> None:
        """Load."""
        if self.path is None or continues(engine, self.path):
            return
        done = transfer_weights(self.network, self.path, self.info)
        self._tell(done)
        if self.frozen.epochs:
            self.frozen.freeze({*done.loaded} - {*stages_of(unwrap(self.network))[-1]})

    def _tell(self, done: Transfer) -> None:
        count = len(done.loaded) + len(done.new)
        remarks = "".join(f"; {remark}" for remark in done.remarks)
        logger.info(
            *("loaded weights of %s%s: %d of %d tensors%s.", self.path, result_of(done.info)),
            *(len(done.loaded), count, remarks),
        )
        if done.differing:
            facts = "; ".join(f"{name} was {theirs!r}, is {ours!r} here" for name, theirs, ours in done.differing)
            logger.info("the weights were trained with other settings: %s.", facts)
        if done.new:
            logger.info("new tensors: %s.", ", ".join(done.new))
        logger.debug("loaded tensors: %s.", ", ".join(done.loaded))
