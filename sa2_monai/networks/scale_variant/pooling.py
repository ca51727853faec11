# SPDX-License-Identifier: Apache-2.0
"""Weighted sums over the positions of a map, and adaptive average pooling as a matrix."""

from __future__ import annotations

import torch

__all__ = ["pooling_matrix", "weighted_sum"]


def weighted_sum(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sum over all positions of a map, each with its weight; one pass over the map for all sets of weights.

    Args:
        x: ``(B, C, H, W)``, in any memory format.
        weights: ``(B or 1, N, H W)``, N sets that sum to about one.

    Returns:
        ``(B, N, C)`` of the type of ``x``.
    """
    flat = x.flatten(2).transpose(1, 2)  # (B, H W, C), a view
    # A power of two changes no digit, but keeps weights of 1 / (H W) out of the subnormal numbers of float16.
    scale = 64.0
    scaled = (weights * scale).to(x.dtype).expand(x.shape[0], -1, -1)
    return torch.bmm(scaled, flat) / scale


def pooling_matrix(cells: int, size: int, like: torch.Tensor) -> torch.Tensor:
    """Adaptive average pooling of an axis as a matrix: cell i is the mean from floor(i size / cells) to, not
    including, ceil((i + 1) size / cells).

    Unlike the pooling itself it is made of plain arithmetic on the size, so that exported networks can take any size.

    Args:
        cells: length of the pooled axis.
        size: length of the axis.
        like: gives the device, and float64 if it is of that type (float32 otherwise).

    Returns:
        ``(cells, size)``, each row sums to 1.
    """
    cell = torch.arange(cells, device=like.device)[:, None]
    start = torch.div(cell * size, cells, rounding_mode="floor")
    end = torch.div((cell + 1) * size + (cells - 1), cells, rounding_mode="floor")
    position = torch.arange(size, device=like.device)[None]
    inside = (position >= start) & (position < end)
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return inside.to(dtype) / (end - start).to(dtype)
