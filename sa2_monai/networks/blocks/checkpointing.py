# SPDX-License-Identifier: Apache-2.0
"""Activation checkpointing that leaves no trace in the normalisations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

__all__ = ["checkpointed"]


def checkpointed(module: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    """Call a module without keeping its inner maps; the backward pass makes them again.

    Random draws repeat in the second pass, and running statistics are updated by the first pass alone, so that
    training is the same with and without.

    Args:
        module: called with ``inputs``.
        inputs: its arguments.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(module)

    result: torch.Tensor = checkpoint(module, *inputs, use_reentrant=False, context_fn=contexts)
    return result


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
