# SPDX-License-Identifier: Apache-2.0
"""Attention over channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.linear import Linear, linear

__all__ = ["ChannelAttention"]


def _is_exact(x: torch.Tensor) -> bool:
    """Whether matrix products are calculated in single precision at least, which sums of squares need."""
    if x.dtype not in (torch.float32, torch.float64):
        return False
    if torch.jit.is_scripting() or x.device.type == "meta":  # neither knows of autocast
        return True
    return not torch.is_autocast_enabled(x.device.type)


class ChannelAttention(nn.Module):
    """Transposed attention: within each head every channel attends to the head's channels.

    Sources: El-Nouby et al., "XCiT: Cross-Covariance Image Transformers", NeurIPS 2021; Azad et al., "DAE-Former",
    2022, section 2.2. Queries and keys are normalised over the positions; a learned temperature per head scales them.

    Args:
        channels: width of input and output.
        heads: number of heads; must divide ``channels``.
        fold: multiply the maps of queries, keys and values into small matrices instead of applying them to each token:
            the same numbers, cheaper where there are more tokens than channels.

    Shape:
        ``(B, H, W, channels)`` -> the same.
    """

    def __init__(self, channels: int, heads: int = 8, fold: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.fold = fold
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = Linear(channels, 3 * channels, bias=False)
        self.project = Linear(channels, channels)

    def _scores_by_gram(self, tokens: torch.Tensor) -> torch.Tensor:
        """Cosines between queries and keys, ``(B, heads, d, d)``, without calculating either for any token.

        Their products over the positions are (X Wq^T)^T (X Wk^T) = Wq (X^T X) Wk^T, and so are their squared lengths.
        """
        b, _, c = tokens.shape
        h, d = self.heads, c // self.heads
        wqk = self.qkv.weight[: 2 * c]
        gram = tokens.transpose(1, 2) @ tokens  # (B, C, C)
        products = wqk @ gram  # (B, 2C, C)
        scale = (products * wqk).sum(-1).clamp(min=1e-24).rsqrt()  # (B, 2C)
        keys = wqk[c:].reshape(h, d, c).transpose(1, 2)
        scores = products[:, :c].reshape(b, h, d, c) @ keys
        return scores * scale[:, :c].reshape(b, h, d, 1) * scale[:, c:].reshape(b, h, 1, d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend over the channels of ``x``."""
        b, height, width, c = x.shape
        h, d = self.heads, c // self.heads
        wq, wk, wv = self.qkv.weight.chunk(3)  # views
        tokens = x.reshape(b, height * width, c)
        if self.fold and _is_exact(x):
            scores = self._scores_by_gram(tokens)
        else:
            # The smallest number that half precision does not round to zero
            eps = 1e-7 if x.dtype == torch.float16 else 1e-12
            queries = F.normalize(linear(tokens, wq, training=self.training), dim=1, eps=eps).reshape(b, -1, h, d)
            keys = F.normalize(linear(tokens, wk, training=self.training), dim=1, eps=eps).reshape(b, -1, h, d)
            scores = queries.permute(0, 2, 3, 1) @ keys.transpose(1, 2)  # (B, h, d, d)
        attention = (scores * self.temperature).softmax(dim=-1)
        # Attention and output map act on the channels of a token, so their product does both at once.
        if self.fold:
            attention = attention @ wv.reshape(h, d, c)  # (B, h, d, C): from the token itself
            values = tokens
            mixed = self.project.weight @ attention.reshape(b, c, c)  # (B, C, C)
        else:
            wo = self.project.weight.reshape(c, h, d).transpose(0, 1)  # (h, C, d)
            values = linear(tokens, wv, training=self.training)
            mixed = (wo @ attention).transpose(1, 2).reshape(b, c, c)  # (B, C, C)
        out = values @ mixed.transpose(1, 2) + self.project.bias
        return out.reshape(b, height, width, c)
