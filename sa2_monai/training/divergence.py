# SPDX-License-Identifier: Apache-2.0
"""The end of a training whose numbers are not finite any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from torch import nn
from torch.nn.utils import get_total_norm

from sa2_monai.training.distributed import world_size
from sa2_monai.training.tracking.loss import loss_of
from sa2_monai.weights import unwrap
from sa2_monai.weights.compare import not_finite

__all__ = ["DivergedError", "DivergenceCheck", "refuse_not_finite"]

# 36 halvings below the scale that PyTorch starts with; trainings that work stay above 1.
_LEAST_SCALE = 1e-6
_HINT = (
    "Nothing of it is saved: the last state and the best weights from before are kept. Look at these cases "
    "('sa2-monai datasets check' finds images with values that are not finite), lower the learning rate, and go on "
    "with resume."
)


class DivergedError(ValueError):
    """The loss or the weights of a training are not finite."""


class _Iteration(NamedTuple):
    """What is known of an iteration until its numbers are looked at."""

    iteration: int
    epoch: int
    loss: torch.Tensor | float
    largest: torch.Tensor  # magnitude of loss, weights and statistics; on the device
    cases: list[str]


class DivergenceCheck:
    """End a training at the first iteration whose loss, weights or running statistics are NaN or infinite.

    Whatever the loss was before, such a network never recovers, and each later iteration and validation is wasted.
    Gradients are not looked at: those that overflow under automatic mixed precision are left out by the gradient scaler
    and harm nothing; the others reach the weights in the same iteration. A scaler that leaves out every step, so that
    its scale falls towards zero, ends the training after the epoch.

    All values go through one reduction, on the device. A CPU is asked for its result in each iteration; a GPU, for
    which the host would have to wait, every some iterations and at the end of the epoch, before anything of it is
    validated or saved: the message names the first iteration all the same. Of several processes each learns in the same
    iteration that one of them diverged: all have this handler, and all of them end.

    Args:
        network: network in training; may be wrapped by ``DistributedDataParallel``.
        case_key: entry of a batch with the names of its cases, for the message.
        interval: iterations after which a GPU is asked.

    Raises:
        DivergedError: during the training, naming epoch, iteration, cases and what is not finite.
    """

    def __init__(self, network: nn.Module, case_key: str = "case", interval: int = 20) -> None:
        self.network = network
        self.case_key = case_key
        self.interval = interval
        self._seen: list[_Iteration] = []

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._check_scale)

    def __call__(self, engine: Engine) -> None:
        """Note the largest value of loss and weights, and look at those that were noted when it is time."""
        state, loss = engine.state, loss_of(engine)
        tensors = chain(self.network.parameters(), self.network.buffers())
        values = [t.detach() for t in tensors if t.is_floating_point()]
        # The largest magnitude; other norms overflow for values that are finite. NaN wins over everything.
        largest = get_total_norm([*values, torch.as_tensor(loss)], float("inf"))
        cases = batch_cases(state.batch, self.case_key)
        self._seen.append(_Iteration(state.iteration, state.epoch, loss, largest, cases))
        epoch_ends = not state.epoch_length or state.iteration % state.epoch_length == 0
        if largest.is_cpu or epoch_ends or len(self._seen) >= self.interval:
            self._look(engine)

    def _look(self, engine: Engine) -> None:
        diverged = ~torch.isfinite(torch.stack([one.largest for one in self._seen]))
        if world_size() > 1:
            flags = diverged.float()
            dist.all_reduce(flags, dist.ReduceOp.MAX)
            diverged = flags > 0
        seen, self._seen = self._seen, []
        for one, wrong in zip(seen, diverged.tolist(), strict=True):
            if wrong:
                raise DivergedError(self._message(engine, one))

    def _message(self, engine: Engine, first: _Iteration) -> str:
        loss = float(first.loss)
        wrong = [] if torch.isfinite(torch.tensor(loss)) else [f"the loss is {loss}"]
        names = not_finite(unwrap(self.network).state_dict())
        if names:
            since = "after the step" if first.iteration == engine.state.iteration else "by now"
            wrong.append(f"{since} values are not finite in {_some(names)}")
        facts: list[Any] = [(wrong, first.cases)]
        if world_size() > 1:
            facts = [None] * world_size()
            dist.all_gather_object(facts, (wrong, first.cases))
        # The steps of all processes are one: when it alone spoiled the weights, any of their batches may be the cause.
        at_fault = [part for part in facts if any(text.startswith("the loss") for text in part[0])] or facts
        what = dict.fromkeys(text for part in at_fault for text in part[0])
        cases = dict.fromkeys(name for part in at_fault for name in part[1])
        length = engine.state.epoch_length or first.iteration
        step = (first.iteration - 1) % length + 1
        return (
            f"the training diverged in epoch {first.epoch}, iteration {step} of {length} ({first.iteration} in all): "
            f"{' and '.join(what)}. Cases of its batch: {', '.join(cases) or 'not named by the data list'}. {_HINT}"
        )

    @staticmethod
    def _check_scale(engine: Engine) -> None:
        scaler = getattr(engine, "scaler", None)
        if scaler is not None and scaler.is_enabled() and scaler.get_scale() < _LEAST_SCALE:
            raise DivergedError(
                f"the training diverged in epoch {engine.state.epoch}: the gradients were not finite in so many "
                f"iterations that the gradient scaler is at {scaler.get_scale():g}, and no step is taken any more. "
                "Lower the learning rate, or train without amp, and go on with resume."
            )


def refuse_not_finite(tensors: Mapping[str, torch.Tensor], epoch: int) -> None:
    """Refuse to save a network of which anything is not finite.

    Args:
        tensors: its state dict.
        epoch: for the message.

    Raises:
        DivergedError: naming the tensors.
    """
    names = not_finite(tensors)
    if names:
        raise DivergedError(
            f"the training diverged: after epoch {epoch} values are not finite in {_some(names)}. Nothing of it "
            "is saved: the last state and the best weights from before are kept. Lower the learning rate and go on "
            "with resume."
        )


def batch_cases(batch: Any, key: str = "case") -> list[str]:
    """Names of the cases in a batch, with the index of the slice where there is one; empty when it has no names.

    Args:
        batch: what the data loader gave: a dictionary of lists and tensors, or a list of dictionaries.
        key: entry with the names.
    """
    if isinstance(batch, (list, tuple)):
        return [name for part in batch for name in batch_cases(part, key)]
    if not isinstance(batch, Mapping) or key not in batch:
        return []
    names = [str(name) for name in _each(batch[key])]
    slices = [f" (slice {int(index)})" for index in _each(batch.get("slice_index", ()))]
    if len(slices) != len(names):
        slices = [""] * len(names)
    return list(dict.fromkeys(name + part for name, part in zip(names, slices, strict=True)))


def _some(names: Sequence[str]) -> str:
    """The first tensors and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more tensors" if len(names) > 3 else "")


def _each(value: Any) -> Iterable[Any]:
    if isinstance(value, torch.Tensor):
        return list(value.reshape(-1).tolist())
    return value if isinstance(value, (list, tuple)) else [value]
