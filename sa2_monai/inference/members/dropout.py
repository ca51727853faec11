# SPDX-License-Identifier: Apache-2.0
"""Thinned networks: Monte Carlo dropout (Gal and Ghahramani, ICML 2016) with samples that can be repeated."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator

import torch
from torch import nn

from sa2_monai.slices.transfer import to_device

__all__ = ["dropout_modules", "dropout_sample"]

_CHANNELS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)  # these drop whole channels
_VALUES = (nn.Dropout,)
# Of servers that predict in several threads with one network, which is changed meanwhile.
_ALONE = threading.Lock()


def dropout_modules(network: object) -> list[nn.Module]:
    """The modules of a network that drop something in training.

    Args:
        network: any; what is no module has none.
    """
    modules = network.modules() if isinstance(network, nn.Module) else ()
    return [module for module in modules if isinstance(module, (*_CHANNELS, *_VALUES)) and module.p > 0]


@contextlib.contextmanager
def dropout_sample(network: nn.Module, number: int) -> Iterator[None]:
    """Within it a network in evaluation mode drops what its dropout modules drop in training; all else stays.

    A sample is one thinned network: all images of all calls lose the same values, on every device, whatever the batch
    size, and a second run gives the same result. The random state of PyTorch is neither used nor changed.

    Args:
        network: in evaluation mode.
        number: of the sample.
    """
    modules = dropout_modules(network)
    with _ALONE:
        before = [module.training for module in modules]
        try:
            for index, module in enumerate(modules):
                module.training = True  # a head may ask for it
                module.forward = functools.partial(_thin, module, (number << 16) + index)
            yield
        finally:
            for module, training in zip(modules, before, strict=True):
                module.training = training
                module.__dict__.pop("forward", None)


def _thin(module: nn.Module, seed: int, x: torch.Tensor) -> torch.Tensor:
    """Drop the same values, or channels, of all images (N, ...)."""
    shape = (1, x.shape[1], *[1] * (x.ndim - 2)) if isinstance(module, _CHANNELS) else (1, *x.shape[1:])
    keep = 1 - float(module.p)  # type: ignore[arg-type]
    mask = torch.empty(shape).bernoulli_(keep, generator=torch.Generator().manual_seed(seed)) / keep
    return x * to_device(mask, x.device).to(x.dtype)
