# SPDX-License-Identifier: Apache-2.0
"""The U shape that DAE-Former and HSA-UNet share."""

from __future__ import annotations

import torch
from torch import nn

from sa2_monai.networks.blocks.dual_attention import DualAttentionDecoderStage, DualAttentionStage
from sa2_monai.networks.blocks.patch_expand import PatchExpand, PatchExpandHead
from sa2_monai.networks.checks import check_input

__all__ = ["DualAttentionUNet"]


class DualAttentionUNet(nn.Module):
    """Three encoder stages, two decoder stages with cross-attention skips, learned up-sampling between them.

    All maps lie as ``(B, H, W, C)``, so that layer normalisations and linear maps need no rearrangement and
    convolutions see ``channels_last`` memory.

    Args:
        in_channels: channels of the image. One channel is repeated to three, as published; a network for three takes
            one as well.
        divisor: height and width must be multiples of it.
        stage1: encoder stage at 1/4, width C1.
        stage2: encoder stage at 1/8, width C2.
        stage3: encoder stage at 1/16, width C3.
        expand3: from C3 at 1/16 to C3/2 at 1/8.
        decoder2: decoder stage at 1/8, width C2.
        expand2: from C2 at 1/8 to C2/2 at 1/4.
        decoder1: decoder stage at 1/4, width C1.
        head: from C1 at 1/4 to the logits.

    Shape:
        ``(B, in_channels, H, W)`` -> ``(B, out_channels, H, W)`` in both modes.

    Raises:
        ValueError: in the forward pass, for a number of channels or a size that the network cannot take.
    """

    divisor = 16

    def __init__(
        self,
        in_channels: int,
        divisor: int,
        stage1: DualAttentionStage,
        stage2: DualAttentionStage,
        stage3: DualAttentionStage,
        expand3: PatchExpand,
        decoder2: DualAttentionDecoderStage,
        expand2: PatchExpand,
        decoder1: DualAttentionDecoderStage,
        head: PatchExpandHead,
    ) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.in_channels = in_channels
        self.stem_channels = 3 if in_channels == 1 else in_channels
        self.divisor = divisor
        self.stage1 = stage1
        self.stage2 = stage2
        self.stage3 = stage3
        self.expand3 = expand3
        self.decoder2 = decoder2
        self.expand2 = expand2
        self.decoder1 = decoder1
        self.head = head
        # The memory format in which the kernels are read; else they would be copied at each call.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the image ``x``; see the class for shapes."""
        check_input(x, self.name, self.in_channels, self.divisor, grey_too=True)
        x = x.expand(-1, self.stem_channels, -1, -1)  # one channel is repeated
        x = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)  # (B, H, W, channels)
        e1 = self.stage1(x)  # (B, H/4, W/4, C1)
        e2 = self.stage2(e1)  # (B, H/8, W/8, C2)
        e3 = self.stage3(e2)  # (B, H/16, W/16, C3)
        d2 = self.decoder2(self.expand3(e3), e2)  # (B, H/8, W/8, C2)
        d1 = self.decoder1(self.expand2(d2), e1)  # (B, H/4, W/4, C1)
        return self.head(d1)  # (B, out_channels, H, W)
