# SPDX-License-Identifier: Apache-2.0
"""A part of the network that does not learn in the first epochs."""

from __future__ import annotations

import logging

from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from torch import nn

from sa2_monai.training.schedules.two_stage_cosine import first_stage
from sa2_monai.weights import unwrap

__all__ = ["FreezeEncoder"]

logger = logging.getLogger(__name__)


class FreezeEncoder:
    """Keep the parameters of the encoder as they are in the first part of a training, as published for SvANet.

    Weights and affine parameters of normalisations stay; running statistics go on adapting, since the network remains
    in training mode. The optimiser leaves the parameters alone altogether, its weight decay included.

    Their gradients are thrown away between the backward pass and the step of the optimiser, and ``requires_grad`` is
    never touched. For ``DistributedDataParallel`` looks at ``requires_grad`` once, when it is built: what is frozen
    later is missed in every backward pass ("Expected to have finished reduction in the prior iteration"), and what is
    frozen before and set free later is never averaged, so that the processes drift apart without a word. The price is
    the encoder's backward pass in these epochs, for SvANet about 4 % of the time of a step.

    Nothing is remembered: whether an epoch is a frozen one follows from its number, after a resume too.

    Args:
        network: network in training; may be wrapped by ``DistributedDataParallel``.
        fraction: share of the trainer's ``max_epochs``, rounded up to whole epochs; 0 freezes nothing.
        name: the frozen part, as ``network.get_submodule`` finds it.

    Raises:
        ValueError: for a fraction outside [0, 1].
        AttributeError: for a part that the network does not have.
    """

    def __init__(self, network: nn.Module, fraction: float = 0.1, name: str = "encoder") -> None:
        if not 0 <= fraction <= 1:
            raise ValueError(f"FreezeEncoder: fraction must be a share from 0 to 1, got {fraction}.")
        self.part = unwrap(network).get_submodule(name)
        self.fraction = fraction
        self.name = name

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.STARTED, self._tell)
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Throw the gradients away in a frozen epoch."""
        if engine.state.epoch <= self._epochs(engine):
            for parameter in self.part.parameters():
                parameter.grad = None

    def _epochs(self, engine: Engine) -> int:
        return first_stage(engine.state.max_epochs or 0, self.fraction)

    def _tell(self, engine: Engine) -> None:
        epochs = self._epochs(engine)
        if engine.state.epoch < epochs:
            logger.info("the %s does not learn up to epoch %d.", self.name, epochs)
