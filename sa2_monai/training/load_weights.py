# SPDX-License-Identifier: Apache-2.0
"""Weights of a file into the network when an engine starts."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from ignite.engine import Engine, Events
from monai.engines import Evaluator
from torch import nn

from sa2_monai.networks.accelerate import accelerate
from sa2_monai.training.freeze import FrozenEpochs
from sa2_monai.weights import load_encoder, load_pretrained, load_weights
from sa2_monai.weights.compare import check_validated
from sa2_monai.weights.state import unwrap

__all__ = ["LoadEncoder", "LoadWeights", "continues", "result_of"]

logger = logging.getLogger(__name__)


class LoadWeights:
    """Load weights when the engine starts: all tensors or none, with one clear reason.

    For inference and evaluation, for which the network is accelerated as well (:mod:`sa2_monai.networks.accelerate`). A
    training that starts from weights has :class:`LoadPretrained`.

    Args:
        path: weight file; ``None``: there is nothing to load.
        network: takes the weights.
        expected: settings that the sidecar of the weights must agree with, see
            :func:`sa2_monai.weights.load_weights`, which also tells the errors.
        imagenet: take ImageNet weights for the encoder as well, see :func:`sa2_monai.weights.load_pretrained`; for
            bundles of earlier versions, :class:`LoadEncoder` is clearer.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        network: nn.Module,
        expected: Mapping[str, Any] | None = None,
        imagenet: bool = False,
    ) -> None:
        self.path = path
        self.network = network
        self.expected = expected
        self.imagenet = imagenet

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer or an evaluator."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Load."""
        if self.path is None or continues(engine, self.path):
            return
        load = load_pretrained if self.imagenet else load_weights
        info = load(self.network, self.path, self.expected)
        if "imagenet" in info:
            _tell_encoder(self.path, info)
            return
        for text in check_validated(info, self.expected or {}):
            logger.warning("%s: %s: other results than those that are known.", self.path, text)
        if isinstance(engine, Evaluator):
            accelerate(unwrap(self.network))
        logger.info("loaded weights of %s%s.", self.path, result_of(info))


class LoadEncoder:
    """Load ImageNet weights into the encoder of MSA2-Net or SvANet when a training starts.

    List it before the handlers that save and resume; a resumed training keeps its own weights.

    Args:
        path: file as timm or torchvision publish it, see :func:`sa2_monai.weights.load_encoder`, which also tells the
            errors; ``None``: there is nothing to load.
        network: takes the weights.
        frozen_epochs: number of the first epochs in which the encoder does not learn, and the statistics of its
            normalisations stay; see :class:`~sa2_monai.training.freeze.FrozenEpochs`.
    """

    def __init__(self, path: str | os.PathLike[str] | None, network: nn.Module, frozen_epochs: int = 0) -> None:
        self.path = path
        self.network = network
        self.frozen = FrozenEpochs(network, frozen_epochs)

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.STARTED, self)
        if self.path is not None and self.frozen.epochs:
            self.frozen.attach(engine)

    def __call__(self, engine: Engine) -> None:
        """Load."""
        if self.path is not None and not continues(engine, self.path):
            _tell_encoder(self.path, load_encoder(self.network, self.path))
            names = [name for name, _ in unwrap(self.network).named_parameters()]
            self.frozen.freeze({name for name in names if name.startswith("encoder.")})


def result_of(info: Mapping[str, Any]) -> str:
    """Epoch and metric of weights in brackets, as their sidecar tells them; empty when it does not."""
    epoch, metric = info.get("epoch"), info.get("metric")
    known = None not in (epoch, metric)
    return f" (epoch {epoch}, {info.get('metric_name', 'metric')} {metric:.4f})" if known else ""


def continues(engine: Engine, path: str | os.PathLike[str]) -> bool:
    """Whether the engine goes on with what it has."""
    if engine.state.epoch > 0:
        logger.info("weights of %s are not loaded: the engine continues after epoch %d.", path, engine.state.epoch)
    return engine.state.epoch > 0


def _tell_encoder(path: str | os.PathLike[str], info: Mapping[str, Any]) -> None:
    logger.info(
        "loaded %s of %s into the encoder, %d tensors (sha256 %s); all else starts from scratch.",
        *(info["imagenet"], path, info["tensors"], info["sha256"]),
    )
