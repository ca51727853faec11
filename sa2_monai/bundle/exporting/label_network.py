# SPDX-License-Identifier: Apache-2.0
"""A network that ends in labels, for programs that have no post-processing of their own."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["LabelNetwork"]


class LabelNetwork(nn.Module):
    """A network together with the choice of the class.

    One channel of logits: 1 where the sigmoid is at least one half. Several: the first of the largest. That is what the
    bundles' post-processing does on the grid of the network.

    Args:
        network: gives logits (N, K, H, W).
        out_channels: K.
    """

    def __init__(self, network: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.network = network
        self.sigmoid = out_channels == 1

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Labels (N, 1, H, W), ``uint8``, of an image (N, C, H, W)."""
        logits = self.network(image)
        assert isinstance(logits, torch.Tensor)  # in training mode it may be a list, TorchScript knows
        if self.sigmoid:
            return (torch.sigmoid(logits.float()) >= 0.5).to(torch.uint8)
        return torch.argmax(logits, dim=1, keepdim=True).to(torch.uint8)
