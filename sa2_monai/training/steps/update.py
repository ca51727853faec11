# SPDX-License-Identifier: Apache-2.0
"""One iteration of a training with clipped or accumulated gradients, or in bfloat16."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.utils import CommonKeys
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from sa2_monai.networks.precision.training import keep_gradients_right

__all__ = ["AMP_DTYPES", "Update", "autocast_options", "iteration_update"]

#: Types of automatic mixed precision. float16, MONAI's, has a gradient scaler and is for GPUs alone.
AMP_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def iteration_update(
    gradient_clip: float | None = None,
    accumulate: int = 1,
    amp: bool = False,
    amp_dtype: str = "float16",
    precision: str | None = None,
    network: nn.Module | None = None,
) -> Update | None:
    """What ``SupervisedTrainer`` gets as ``iteration_update``; ``None`` leaves it to MONAI, where nothing is wanted.

    Args:
        gradient_clip: largest norm of all gradients together, above 0; ``None``: as they are.
        accumulate: iterations whose gradients make one step of the optimiser, at least 1.
        amp: of bundles of earlier versions, which have no ``precision``: mixed precision, in bfloat16 by ``amp_dtype``.
        amp_dtype: of the same: name in :data:`AMP_DTYPES`.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``, as :func:`~sa2_monai.networks.choose_precision` says; that in
            fp16 is on where the trainer has ``amp`` on, with its scaler.
        network: that is trained; in bf16 on a CPU some of its layers stay in float32, see
            :func:`~sa2_monai.networks.precision.training.keep_gradients_right`.

    Raises:
        ValueError: for arguments out of range.
    """
    if gradient_clip is not None and not gradient_clip > 0:
        raise ValueError(f"gradient_clip is {gradient_clip}, expected a norm above 0, or null.")
    if accumulate < 1:
        raise ValueError(f"accumulate is {accumulate}, expected a number of iterations, at least 1.")
    bfloat16 = precision == "bf16" or (autocast_options(amp_dtype)["dtype"] == torch.bfloat16 and amp)
    if gradient_clip is None and accumulate == 1 and not bfloat16:
        return None
    if bfloat16 and network is not None:
        keep_gradients_right(network)
    return Update(gradient_clip, accumulate, bfloat16)


def autocast_options(amp_dtype: str = "float16") -> dict[str, torch.dtype]:
    """What MONAI's engines get as ``amp_kwargs`` in bundles of earlier versions.

    Args:
        amp_dtype: name in :data:`AMP_DTYPES`.

    Raises:
        ValueError: for another name.
    """
    if amp_dtype not in AMP_DTYPES:
        raise ValueError(f"amp_dtype is {amp_dtype!r}, expected one of {', '.join(AMP_DTYPES)}.")
    return {"dtype": AMP_DTYPES[amp_dtype]}


class Update:
    """An iteration as MONAI's ``SupervisedTrainer`` has it, with the same events.

    The loss of each iteration is divided by the number of those that make a step together; at the end of an epoch these
    are the ones that are left, so that no gradient is carried over it and a resumed training goes on exactly. Gradients
    are clipped after the scaler of mixed precision has been taken out of them. The loss that handlers see is undivided.

    Args:
        gradient_clip: see :func:`iteration_update`.
        accumulate: the same.
        bfloat16: automatic mixed precision of that type, without a scaler, as it has the range of float32; on a CPU
            as well. The trainer's own is off then.
    """

    def __init__(self, gradient_clip: float | None, accumulate: int, bfloat16: bool) -> None:
        self.gradient_clip = gradient_clip
        self.accumulate = accumulate
        self.bfloat16 = bfloat16

    def __call__(self, engine: SupervisedTrainer, batch: Any) -> dict[str, Any]:
        """Forward and backward pass, and the step when its group of iterations is complete."""
        image, label = engine.prepare_batch(batch, engine.state.device, engine.non_blocking, **engine.to_kwargs)
        output = engine.state.output = {CommonKeys.IMAGE: image, CommonKeys.LABEL: label}
        place, size = self._place(engine)
        last = place == size - 1

        engine.network.train()
        if place == 0:
            engine.optimizer.zero_grad(set_to_none=engine.optim_set_to_none)
        with contextlib.ExitStack() as held:
            if not last and isinstance(engine.network, DistributedDataParallel):
                held.enter_context(engine.network.no_sync())  # the processes share the sum of the group alone
            with self._autocast(engine):
                output[CommonKeys.PRED] = engine.inferer(image, engine.network)
                engine.fire_event(IterationEvents.FORWARD_COMPLETED)
                loss = output[CommonKeys.LOSS] = engine.loss_function(output[CommonKeys.PRED], label).mean()
                engine.fire_event(IterationEvents.LOSS_COMPLETED)
            scaler = engine.scaler  # of float16
            share = loss / size if size > 1 else loss
            (share if scaler is None else scaler.scale(share)).backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        if last:
            self._step(engine, scaler)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return output

    def _place(self, engine: SupervisedTrainer) -> tuple[int, int]:
        """Place of the iteration in its group, and the size of the group."""
        length = engine.state.epoch_length
        done = (engine.state.iteration - 1) % length
        place = done % self.accumulate
        return place, min(self.accumulate, length - (done - place))

    def _autocast(self, engine: SupervisedTrainer) -> torch.autocast:
        kind = torch.device(engine.state.device).type
        if self.bfloat16:
            return torch.autocast(kind, dtype=torch.bfloat16)
        # As MONAI: float16 changes nothing on a CPU.
        return torch.autocast(kind, enabled=bool(engine.amp) and kind == "cuda", **engine.amp_kwargs)

    def _step(self, engine: SupervisedTrainer, scaler: Any) -> None:
        if self.gradient_clip is not None:
            if scaler is not None:
                scaler.unscale_(engine.optimizer)
            clip_grad_norm_(engine.network.parameters(), self.gradient_clip)
        if scaler is None:
            engine.optimizer.step()
        else:
            scaler.step(engine.optimizer)
            scaler.update()
