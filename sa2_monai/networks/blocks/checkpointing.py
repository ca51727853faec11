# SPDX-License-Identifier: Apache-2.0
"""Activation checkpointing that leaves no trace in the normalisations, and no question in a forward function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

__all__ = ["Checkpointed", "recomputed"]


class Checkpointed(nn.Module):
    """Base of modules that can do without their inner maps in training: the backward pass calculates them again.

    Random draws repeat in the second pass, and running statistics are updated by the first pass alone, so that
    training is the same with and without. It works around ``forward``, which says nothing of it and is all that
    TorchScript compiles.

    Attributes:
        use_checkpoint: whether to do so; subclasses set it.
    """

    use_checkpoint = False

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Call ``forward``, in training with ``use_checkpoint`` without keeping what it calculates on the way."""
        if not (self.use_checkpoint and self.training):
            return super().__call__(*inputs)

        return recomputed(self, super().__call__, *inputs)


def recomputed(module: nn.Module, forward: Callable[..., Any], *inputs: Any) -> Any:
    """Call a module without keeping what it calculates on the way; the backward pass calculates it again.

    Args:
        module: whose running statistics the second pass must leave alone.
        forward: what to call.
        inputs: its arguments.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(module)

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Normalise by the batch, as before, but count it in copies of the running statistics that are thrown away."""
    kept = []
    for norm in module.modules():
        if isinstance(norm, _BatchNorm):
            kept += [(norm, name, buffer) for name, buffer in norm.named_buffers(recurse=False)]
    for norm, name, buffer in kept:
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in kept:
            setattr(norm, name, buffer)
