# SPDX-License-Identifier: Apache-2.0
"""Learned up-sampling: a linear map whose output channels become neighbouring pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.checkpointing import Checkpointed
from sa2_monai.networks.blocks.linear import Linear, linear

__all__ = ["PatchExpand", "PatchExpandHead"]


class PatchExpand(nn.Module):
    """Patch expansion: linear map, rearrangement, layer normalisation.

    Source: Cao et al., "Swin-Unet", ECCV workshops 2022, section 3.4. The output channels of the linear map are read
    as (row, column, channel) with the channel fastest, unlike in ``PixelShuffle``.

    Args:
        in_channels: width of the input.
        out_channels: width of the output.
        scale: factor by which height and width grow.

    Shape:
        ``(B, H, W, in_channels)`` -> ``(B, scale * H, scale * W, out_channels)``.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int = 2) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.scale = scale
        self.expand = Linear(in_channels, scale * scale * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Up-sample ``x``."""
        b, h, w, _ = x.shape
        s, c = self.scale, self.out_channels
        y = self.norm(self.expand(x).reshape(b, h, w, s, s, c))
        return y.transpose(2, 3).reshape(b, s * h, s * w, c)


class PatchExpandHead(Checkpointed):
    """Patch expansion to the resolution of the image and the linear classifier of its pixels.

    Normalisation and classifier act per pixel, so they come before the rearrangement, and only the logits are moved.

    Args:
        in_channels: width of the input.
        out_channels: channels of the logits.
        scale: factor by which height and width grow.
        dropout: probability with which a channel in front of the classifier is dropped in training mode.
        use_checkpoint: keep only the input in training and calculate the rest again in the backward pass.

    Shape:
        ``(B, H, W, in_channels)`` -> ``(B, out_channels, scale * H, scale * W)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 4,
        dropout: float = 0.0,
        use_checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.use_checkpoint = use_checkpoint
        self.in_channels = in_channels
        self.scale = scale
        self.expand = Linear(in_channels, scale * scale * in_channels, bias=False)
        self.norm = nn.LayerNorm(in_channels)
        self.dropout = nn.Dropout(dropout)
        self.classify = Linear(in_channels, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the tokens ``x``."""
        b, h, w, c = x.shape
        s, n = self.scale, self.scale * self.scale
        if self.dropout.training and self.dropout.p > 0.0:  # also of a network that is not trained: dropout samples
            y = self.norm(self.expand(x).reshape(b, h, w, n, c))
            y = y * self.dropout(torch.ones_like(y[:, :1, :1, :1]))  # whole channels of each image
            logits = self.classify(y)
        else:
            # The normalised pixel is (y - mean) / deviation. The mean goes into the expansion's weights, so that all is
            # linear in x but for the division by the deviation: the widest map is read once and written never again.
            weight = self.expand.weight.reshape(n, c, c)
            weight = weight - weight.mean(1, keepdim=True)
            length = torch.linalg.vector_norm(
                linear(x, weight.flatten(0, 1), training=self.training).reshape(b, h, w, n, c),
                dim=-1,
                keepdim=True,
                dtype=_at_least_float(x),
            )
            head = (self.classify.weight * self.norm.weight) @ weight  # (s * s, out_channels, C)
            logits = linear(x, head.flatten(0, 1), training=self.training).reshape(b, h, w, n, -1)
            bias = F.linear(self.norm.bias, self.classify.weight, self.classify.bias)
            logits = logits * torch.rsqrt(length.square() / c + self.norm.eps).to(logits.dtype) + bias
        return logits.reshape(b, h, w, s, s, -1).permute(0, 5, 1, 3, 2, 4).reshape(b, -1, s * h, s * w)


def _at_least_float(x: torch.Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32
