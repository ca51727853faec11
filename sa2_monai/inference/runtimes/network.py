# SPDX-License-Identifier: Apache-2.0
"""A network that another runtime calculates, where an inferer calls a network."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sa2_monai.inference.runtimes.contract import Run
from sa2_monai.inference.runtimes.prepare import prepare
from sa2_monai.weights.state import unwrap

__all__ = ["RuntimeNetwork"]

_KEPT = "_sa2_monai_runtimes"
_ALONE = threading.Lock()  # of servers that predict in several threads with one network


class RuntimeNetwork:
    """Stands for a network, which is prepared at the first call with images of a size, see :func:`prepare`.

    What was prepared goes with the network: another inferer finds it there, and other weights in the same network are
    noticed.

    Args:
        network: in evaluation mode when it is called.
        runtime: a name of :data:`~sa2_monai.inference.runtimes.catalogue.RUNTIMES`, but not ``"eager"``.
        precision: see :func:`prepare`.
        batch: images at once, on GPUs.
        normalize: see :func:`prepare`.
    """

    def __init__(
        self,
        network: nn.Module,
        runtime: str,
        precision: str = "fp32",
        batch: int = 1,
        normalize: Sequence[float] | None = None,
    ) -> None:
        if not isinstance(network, nn.Module):
            raise ValueError(f"runtime {runtime} needs a torch.nn.Module, got a {type(network).__name__}")
        self.network: nn.Module = unwrap(network)
        self.runtime, self.precision, self.batch, self.normalize = runtime, precision, batch, normalize

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images (B, C, H, W), ``float32``."""
        shape = (1 if images.device.type == "cpu" else self.batch, *images.shape[1:])
        key = (self.runtime, self.precision, shape, self.normalize, torch.get_num_threads())
        with _ALONE:
            kept = _kept(self.network)
            if key not in kept:
                kept[key] = prepare(
                    *(self.network, self.runtime, self.precision), example_shape=shape, normalize=self.normalize
                )
            run = kept[key]
        return run(images)


class _Kept(dict[Any, Run]):
    """What was prepared of a network by key; copies of the network begin without."""

    def __init__(self, weights: Any = None) -> None:
        super().__init__()
        self.weights = weights

    def __deepcopy__(self, memo: Any) -> _Kept:
        return _Kept()

    def __reduce__(self) -> Any:
        return _Kept, ()


def _kept(network: nn.Module) -> _Kept:
    """What was prepared of a network with its present weights."""
    tensors = itertools.chain(network.parameters(), network.buffers())
    weights = [(tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in tensors]
    kept = network.__dict__.get(_KEPT)
    if kept is None or kept.weights != weights:
        kept = network.__dict__[_KEPT] = _Kept(weights)
    return kept
