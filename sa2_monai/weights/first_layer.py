# SPDX-License-Identifier: Apache-2.0
"""The kernels of a first convolution for images of another number of channels."""

from __future__ import annotations

import torch

__all__ = ["adapt_channels"]


def adapt_channels(kernels: torch.Tensor, channels: int) -> torch.Tensor:
    """Kernels for images of another number of channels.

    One channel gets the sum of all kernels: a grey image gives what it would give if it were repeated in all channels.
    For other numbers the kernels are repeated in turn and scaled by the quotient of the numbers, so that sums stay of
    the same size.

    Args:
        kernels: ``(out_channels, in_channels, rows, columns)``.
        channels: of the images.

    Returns:
        ``(out_channels, channels, rows, columns)``.
    """
    found = kernels.shape[1]
    if channels == 1:
        return kernels.sum(1, keepdim=True)
    return kernels.repeat(1, -(-channels // found), 1, 1)[:, :channels] * (found / channels)
