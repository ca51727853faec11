# SPDX-License-Identifier: Apache-2.0
"""A warning before the activations of a validation overflow, and a training that survives it."""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from sa2_monai.networks.factory import record_of
from sa2_monai.training.distributed import rank
from sa2_monai.weights import unwrap

__all__ = ["OverflowCheck"]

logger = logging.getLogger(__name__)

_LARGE = 1e4  # no layer of a network that works is above it
_GROWTH = 10.0  # factor from one validation to the next


class OverflowCheck:
    """Look at the largest activation of each stage in a validation, and warn when it runs away.

    In evaluation the normalisations use their running statistics, which lag behind weights that change quickly. Where
    maps are multiplied with each other, as in the attention of SvANet's decoder, a map that is k times too large makes
    the next one k * k times too large, and a training whose loss falls overflows in its validations. Warned is of
    values above 1e4 that have grown tenfold since the last validation, and of those near the limit of their precision:
    a tenth of it in float16, the root of it in others, as squares overflow there. One line for a validation, for the
    first stage in the order of the network.

    Such an overflow is often a passing one of the first epochs, and no reason to end a training whose loss is finite: a
    slice or window for which the network says NaN or infinity counts as background in that validation, with a warning.
    Predictions and evaluations of trained weights refuse it.

    Attach it to the evaluator of a training. It costs one pass over the output of each stage.

    Args:
        network: network that is validated; may be wrapped by ``DistributedDataParallel``.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._hooks: list[Any] = []
        self._largest: dict[str, torch.Tensor] = {}
        self._types: dict[str, torch.dtype] = {}
        self._before: dict[str, float] = {}
        self._lost: torch.Tensor | None = None

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.COMPLETED, self._end)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)
        # Ahead of MONAI's StatsHandler, which ends the calls by raising the error again.
        handlers = engine._event_handlers[Events.EXCEPTION_RAISED]
        handlers.insert(0, handlers.pop())

    def _begin(self, _: Engine) -> None:
        self._release()
        self._largest, self._types, self._lost = {}, {}, None
        self._hooks.append(unwrap(self.network).register_forward_hook(self._without_overflow))
        if rank() != 0:
            return
        for name, module in _watched(unwrap(self.network)):
            self._hooks.append(module.register_forward_hook(self._watch(name)))

    def _without_overflow(self, module: nn.Module, _inputs: Any, output: Any) -> Any:
        # In training mode it sees the batches of PreciseStatistics, which are no part of the validation.
        if module.training or not isinstance(output, torch.Tensor):
            return None
        lost = ~torch.isfinite(output).flatten(1).all(1)
        count = lost.sum()  # stays where it is: nobody waits for a GPU here
        self._lost = count if self._lost is None else self._lost + count
        background = torch.full_like(output, -1.0)
        if output.shape[1] > 1:
            background[:, 0] = 1.0
        return torch.where(lost.view(-1, *[1] * (output.ndim - 1)), background, output)

    def _watch(self, name: str) -> Any:
        def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
            for tensor in output if isinstance(output, (list, tuple)) else [output]:
                if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.numel():
                    low, high = torch.aminmax(tensor.detach())
                    found = torch.maximum(-low, high).float()
                    before = self._largest.get(name)
                    self._largest[name] = found if before is None else torch.maximum(before, found)
                    self._types[name] = tensor.dtype

        return look

    def _end(self, engine: Engine) -> None:
        self._release()
        values = torch.stack(list(self._largest.values())).tolist() if self._largest else []
        found = dict(zip(self._largest, values, strict=True))
        lost = 0 if self._lost is None else int(self._lost)
        if lost:
            logger.warning(
                "epoch %d: the network's output for %d of the slices or windows of the validation has NaN or infinite "
                "values; they count as background. Weights for which this stays so predict nothing.",
                *(engine.state.epoch, lost),
            )
        for name, value in found.items():
            text = self._alarming(name, value)
            if text:
                logger.warning(
                    "epoch %d: the largest value of %s in the validation is %.2g, %s. Weights change faster than the "
                    "statistics of the normalisations follow: lower learning_rate, or set precise_bn, warmup_epochs, "
                    "gradient_clip or ema.",
                    *(engine.state.epoch, name, value, text),
                )
                break
        self._before = found

    def _alarming(self, name: str, value: float) -> str | None:
        kind = self._types[name]
        limit = torch.finfo(kind).max
        near = limit / 10 if kind == torch.float16 else math.sqrt(limit)
        if not value < near:
            return f"near or beyond the limit of {str(kind).removeprefix('torch.')}, {limit:.2g}"
        before = self._before.get(name, math.inf)
        if value > _LARGE and value > _GROWTH * before:
            return f"{value / before:.2g} times that of the last one, and on its way to an overflow"
        return None

    def _fail(self, engine: Engine, error: BaseException) -> None:
        """A validation that ends because of such values says first where they come from."""
        self._end(engine)
        if engine._event_handlers[Events.EXCEPTION_RAISED][-1][0] == self._fail:  # nobody else raises it again
            raise error

    def _release(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def _watched(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The stages and what they hold, in the order of the network; of another network its parts."""
    record = record_of(network)
    if record is None:
        return list(network.named_children())
    found: list[tuple[str, nn.Module]] = []
    for name in (name for stage in record.stages for name in stage):
        module = network.get_submodule(name)
        parts = [(f"{name}.{key}", part) for key, part in module.named_children()]
        found += parts if isinstance(module, nn.ModuleList) else [(name, module)]
    return found
