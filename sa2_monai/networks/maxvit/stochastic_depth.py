# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth for residual branches."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["StochasticDepth"]


class StochasticDepth(nn.Module):
    """Drop the residual branch of an image with a probability, in training mode only.

    Huang et al.: "Deep Networks with Stochastic Depth", ECCV 2016. What is kept is divided by the probability of
    keeping it. The random numbers are those of torch's generator of the tensor's device.

    Args:
        rate: probability of dropping, in [0, 1).

    Shape:
        ``(B, ...)`` -> the same.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop ``x`` for some images of the batch."""
        if self.rate == 0.0 or not self.training:
            return x
        keep = 1.0 - self.rate
        mask = torch.empty([x.shape[0]] + [1] * (x.ndim - 1), dtype=x.dtype, device=x.device)
        return x * (mask.bernoulli_(keep) / keep)

    def extra_repr(self) -> str:
        """For ``print(network)``."""
        return f"rate={self.rate:g}"
