# SPDX-License-Identifier: Apache-2.0
"""Small networks for slices, volumes for them, and the size of what they make, for tests of the inferer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.utils import set_determinism
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


def make_network(in_channels: int = 1, out_channels: int = 4) -> nn.Module:
    set_determinism(0)
    network = nn.Sequential(
        nn.Conv2d(in_channels, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, out_channels, 3, padding=1)
    )
    set_determinism(None)
    return network.eval().requires_grad_(False)


def make_volume(size: Sequence[int], channels: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(seed))


class LargestTensor(TorchDispatchMode):
    """Elements of the largest tensor that any operation returns: of all kinds, and of floating-point ones."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0
        self.floating = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().nbytes() > 0:
                size = tensor.untyped_storage().nbytes() // tensor.element_size()
                self.elements = max(self.elements, size)
                if tensor.is_floating_point():
                    self.floating = max(self.floating, size)
        return out
