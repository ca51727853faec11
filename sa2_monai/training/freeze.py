# SPDX-License-Identifier: Apache-2.0
"""Parts of the network that do not learn in the first epochs."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

from sa2_monai.training.schedules.two_stage_cosine import first_stage
from sa2_monai.weights import unwrap

__all__ = ["FreezeEncoder", "FrozenEpochs"]

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
            _forget_gradients(self.part.parameters())

    def _epochs(self, engine: Engine) -> int:
        return first_stage(engine.state.max_epochs or 0, self.fraction)

    def _tell(self, engine: Engine) -> None:
        epochs = self._epochs(engine)
        if engine.state.epoch < epochs:
            logger.info("the %s does not learn up to epoch %d.", self.name, epochs)


class FrozenEpochs:
    """Keep parameters, and the statistics of their batch normalisations, as they are in the first epochs.

    Unlike :class:`FreezeEncoder`, which is the published way of SvANet, a frozen batch normalisation works as in
    evaluation: by its running statistics, which stay. And no gradients are calculated for what is frozen, which makes
    an epoch in which the head alone learns about three times as fast; those of a wrapped network are thrown away
    instead, for the reason that is told there. Whether an epoch is a frozen one follows from its number, after a resume
    as well.

    Args:
        network: network in training; may be wrapped by ``DistributedDataParallel``.
        epochs: number of the first epochs in which the parameters do not learn; 0 freezes nothing.

    Raises:
        ValueError: for a negative number of epochs.
    """

    def __init__(self, network: nn.Module, epochs: int) -> None:
        if epochs < 0:
            raise ValueError(f"frozen_epochs must be a number of epochs, 0 or more, got {epochs}.")
        self.network = network
        self.epochs = epochs
        self._parameters: list[nn.Parameter] = []
        self._norms: list[nn.Module] = []
        self._hooks: list[RemovableHandle] = []
        self._without_gradient: list[nn.Parameter] = []

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._release)

    def freeze(self, names: Collection[str]) -> None:
        """Say which parameters.

        Args:
            names: of the parameters; others are left out.
        """
        named = dict(unwrap(self.network).named_parameters())
        self._parameters = [parameter for name, parameter in named.items() if name in names]
        self._norms = [
            module
            for name, module in unwrap(self.network).named_modules()
            if isinstance(module, _BatchNorm)
            and all(f"{name}.{leaf}" in names for leaf, _ in module.named_parameters())
        ]
        if self.epochs and names:
            counts = (sum(one.numel() for one in group) for group in (self._parameters, named.values()))
            logger.info("what was loaded does not learn up to epoch %d: %d of %d parameters.", self.epochs, *counts)

    def __call__(self, engine: Engine) -> None:
        """Throw gradients away in a frozen epoch."""
        if engine.state.epoch <= self.epochs:
            _forget_gradients(self._parameters)

    def _begin(self, engine: Engine) -> None:
        self._release(engine)
        if engine.state.epoch > self.epochs:
            return
        # The trainer puts the whole network into training mode ahead of each step.
        self._hooks = [norm.register_forward_pre_hook(_as_in_evaluation) for norm in self._norms]
        if unwrap(self.network) is self.network:
            self._without_gradient = [one for one in self._parameters if one.requires_grad]
            for parameter in self._without_gradient:
                parameter.requires_grad_(False)

    def _release(self, _: Engine) -> None:
        for hook in self._hooks:
            hook.remove()
        for parameter in self._without_gradient:
            parameter.requires_grad_(True)
        self._hooks, self._without_gradient = [], []


def _as_in_evaluation(module: nn.Module, _: Any) -> None:
    module.eval()


def _forget_gradients(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None
