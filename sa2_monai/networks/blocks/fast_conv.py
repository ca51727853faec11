# SPDX-License-Identifier: Apache-2.0
"""3x3 convolutions for inference on a CPU, where the general routine wastes time on many channels.

PyTorch's convolution brings the weights into another order at each call, which on small maps of many channels takes
longer than the convolution itself, and it multiplies each pixel with nine weights where four suffice.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sa2_monai.networks.blocks.linear import linear
from sa2_monai.networks.blocks.recording import records_graph

__all__ = ["conv3x3", "conv3x3_gains"]

_MANY_WEIGHTS = 9 * 2**19
_FEW_PIXELS = 2**9
_WIDE = 256
# Bytes of one temporary array. Up to 32 MB glibc takes them from its heap; larger ones come as fresh pages from the
# system in each call, and are several times slower to fill.
_PIECE = 16 * 2**20
# Bytes of the transformed tiles that are kept for all groups of filters, and of one group if they are not.
_KEPT = 64 * 2**20
_WEIGHTS = 128 * 2**20


def conv3x3_gains(x: torch.Tensor, weight: torch.Tensor, stride: int = 1) -> bool:
    """Whether :func:`conv3x3` may stand for the convolution of ``x``, and is faster than it.

    It is not for gradients, other devices and types, nor for graphs that are recorded.
    """
    if torch.is_grad_enabled() or records_graph():
        return False
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64) or torch.is_autocast_enabled("cpu"):
        return False
    return _method(x, weight, stride) != "direct"


def _method(x: torch.Tensor, weight: torch.Tensor, stride: int) -> str:
    if tuple(weight.shape[2:]) != (3, 3):
        return "direct"
    pixels = x.shape[0] * x.shape[2] * x.shape[3] // stride**2
    if pixels <= _FEW_PIXELS:
        return "product" if weight.numel() >= _MANY_WEIGHTS else "direct"
    even = stride == 1 and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
    return "winograd" if even and min(weight.shape[:2]) >= _WIDE else "direct"


def conv3x3(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, stride: int = 1
) -> torch.Tensor:
    """3x3 convolution with a zero padding of one pixel, times ``scale`` plus ``shift``.

    Small maps are unfolded and multiplied with the weights as they lie in memory. Large ones are convolved by the
    minimal filtering algorithm F(2x2, 3x3) of Winograd, which gets by with 4/9 of the multiplications.
    Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1. Its constants
    are 0, 1 and 1/2, so that rounding errors stay those of a sum of products.

    Args:
        x: ``(B, C, H, W)``, fast in channels_last memory.
        weight: ``(D, C, 3, 3)``, fast in channels_last memory.
        scale: ``(D,)``.
        shift: ``(D,)``.
        stride: step of the convolution; H and W are multiples of it.

    Returns:
        ``(B, D, H / stride, W / stride)`` in channels_last memory.
    """
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))  # (B, H + 2, W + 2, C)
    calculate = _winograd if _method(x, weight, stride) == "winograd" else _product
    return calculate(padded, weight, scale, shift, stride).permute(0, 3, 1, 2)


def _product(
    padded: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, stride: int
) -> torch.Tensor:
    """Matrix product of patches and weights: ``(B, H + 2, W + 2, C)`` -> ``(B, H / stride, W / stride, D)``."""
    b, h, w, c = padded.shape
    size = (b, (h - 2) // stride, (w - 2) // stride)
    patches = padded.as_strided((*size, 3, 3, c), (h * w * c, stride * w * c, stride * c, w * c, c, 1))
    y = linear(patches.reshape(-1, 9 * c), weight.permute(0, 2, 3, 1).flatten(1)).view(*size, -1)
    return y.mul_(scale).add_(shift)


def _winograd(
    padded: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, _stride: int
) -> torch.Tensor:
    """F(2x2, 3x3): ``(B, H + 2, W + 2, C)`` -> ``(B, H, W, D)``.

    In each tile of 4 x 4 pixels, which overlaps its neighbours by 2, and in each filter, 16 linear combinations are
    made; their products, summed over C, are combined to the 2 x 2 results of the tile.
    """
    of_tile, of_filter, of_result = _transforms(padded)
    b, h, w, c = padded.shape
    d = weight.shape[0]
    rows, columns = (h - 2) // 2, (w - 2) // 2
    tiles = padded.as_strided(
        (4, 4, b, rows, columns, c), (w * c, c, h * w * c, 2 * w * c, 2 * c, 1)
    )  # pixel of the tile, image, place of the tile, channel
    y = padded.new_empty(b, rows, 2, columns, 2, d)
    bytes_each = 16 * padded.element_size() * c  # of a tile, and of a filter
    bytes_of_tiles = bytes_each * b * rows * columns
    step = _even_share(rows, bytes_of_tiles, _PIECE)
    keep = bytes_of_tiles <= _KEPT
    group = _even_share(d, bytes_each * d, _PIECE if keep else _WEIGHTS)
    kept: dict[int, torch.Tensor] = {}
    for first in range(0, d, group):
        chosen = slice(first, first + group)
        u = of_filter @ weight[chosen].permute(0, 2, 3, 1).reshape(-1, 9, c)  # (filters, 16, C)
        u = u.permute(1, 2, 0)  # (16, C, filters)
        for top in range(0, rows, step):
            band = slice(top, top + step)
            if top in kept:
                v = kept[top]
            else:
                v = (of_tile @ tiles[:, :, :, band].reshape(16, -1)).view(16, -1, c)  # (16, tiles, C)
                if keep and group < d:
                    kept[top] = v
            m = torch.bmm(v, u)  # (16, tiles, filters)
            z = (of_result @ m.flatten(1)).view(2, 2, b, -1, columns, m.shape[2])
            z = z.mul_(scale[chosen]).add_(shift[chosen])
            y[:, band, ..., chosen] = z.permute(2, 3, 0, 4, 1, 5)
    return y.view(b, h - 2, w - 2, d)


def _even_share(count: int, size: int, limit: int) -> int:
    """How many of ``count`` things go into one of the fewest equal parts, when all take ``size`` bytes and one part may
    take ``limit``.
    """
    return -(-count // max(1, -(-size // limit)))


def _transforms(like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The transforms of tile, filter and result for both axes at once: (16, 16), (16, 9) and (4, 16)."""
    tile = like.new_tensor([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    filters = like.new_tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    result = like.new_tensor([[1, 1, 1, 0], [0, 1, -1, -1]])
    return torch.kron(tile, tile), torch.kron(filters, filters), torch.kron(result, result)
