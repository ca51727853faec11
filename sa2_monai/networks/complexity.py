# SPDX-License-Identifier: Apache-2.0
"""How large a network is, and how much it has to calculate."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["count_macs", "count_parameters"]


def count_parameters(network: nn.Module) -> int:
    """Number of the trainable parameters.

    Args:
        network: of any device.
    """
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_macs(network: nn.Module, channels: int, size: Sequence[int]) -> int:
    """Multiply-accumulates of one image in evaluation, counted by PyTorch below the modules.

    Those of all convolutions and matrix products, both products of each attention included. Softmax, normalisations,
    activations and resizing are not counted.

    Args:
        network: it is not changed.
        channels: of the image.
        size: height and width that the network sees, in pixels.
    """
    # Shapes only: no memory, no work. The fused attention of the CPU would go uncounted, too.
    shapes = copy.deepcopy(network).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shapes(torch.empty(1, channels, *size, device="meta"))
    return int(counter.get_total_flops()) // 2
