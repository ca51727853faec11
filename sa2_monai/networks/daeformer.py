# SPDX-License-Identifier: Apache-2.0
"""DAE-Former: dual attention-guided efficient transformer for medical image segmentation.

Azad, Arimond, Aghdam, Kazerouni, Merhof: "DAE-Former: Dual Attention-guided Efficient Transformer for Medical Image
Segmentation", PRIME workshop at MICCAI 2023, https://arxiv.org/abs/2212.13504. Numerically equal to the published
code. What it carries and never uses (38 % of its parameters) is left out. The blocks stand in
:mod:`sa2_monai.networks.blocks`; where they take a cheaper order of operations that gives the same numbers, they say
why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from sa2_monai.networks.blocks import (
    ChannelAttention,
    ConcatSkip,
    CrossAttentionSkip,
    DualAttentionBlock,
    DualAttentionDecoderStage,
    DualAttentionStage,
    DualAttentionUNet,
    EfficientAttention,
    MixFFN,
    OverlapPatchEmbed,
    PatchExpand,
    PatchExpandHead,
    SingleAttentionBlock,
    init_xavier,
)
from sa2_monai.networks.checks import check_constructor, check_divides, check_widths
from sa2_monai.networks.variants import check_variant

__all__ = ["DAEFormer"]


class DAEFormer(DualAttentionUNet):
    """DAE-Former with logits as output.

    Args:
        spatial_dims: 2; there is no 3D form of this network.
        in_channels: channels of the image. One channel is repeated to three, as published, so that a checkpoint for
            colour images serves for grey ones; a network for three channels takes an image of one as well.
        out_channels: output channels: 1 for a sigmoid, the number of classes for a softmax.
        embed_dims: widths (C1, C2, C3) of the encoder stages.
        depths: dual attention blocks of each encoder stage.
        decoder_dims: widths of the decoder stages at 1/4 and 1/8; must be those of the encoder, to which skips lead.
        decoder_depths: dual attention blocks of the decoder stages at 1/4 and 1/8.
        embed_kernels: windows of the three patch embeddings.
        strides: factors by which they shrink the map, and the decoder enlarges it.
        paddings: zeros on each side in front of them.
        mlp_ratio: hidden width of the feed-forward parts in units of the stage's width.
        channel_heads: heads of the channel attention.
        cross_heads: heads of the cross-attention in the skip connections.
        spatial_heads: heads of the efficient attention.
        dropout: probability with which a channel in front of the classifier is dropped in training mode. The published
            network is that with 0; MONAI Label's epistemic scoring sets it.
        use_checkpoint: recalculate the blocks in the backward pass of training instead of keeping their maps.
        variant: what is left out to measure its worth, see :data:`sa2_monai.networks.ablations.DAEFORMER`; ``None``:
            the published network.

    Shape:
        - input ``(B, in_channels, H, W)``, H and W positive multiples of 16; values as in training, published: [-1, 1].
        - output ``(B, out_channels, H, W)``, logits, in both modes.

    Raises:
        ValueError: for an argument, a number of channels or a size that the network cannot take.

    Example::

        network = DAEFormer(in_channels=1, out_channels=9).eval()
        logits = network(torch.rand(1, 1, 224, 224))  # (1, 9, 224, 224)
    """

    divisor = 16

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        embed_dims: Sequence[int] = (128, 320, 512),
        depths: Sequence[int] = (2, 2, 2),
        decoder_dims: Sequence[int] | None = None,
        decoder_depths: Sequence[int] = (2, 2),
        embed_kernels: Sequence[int] = (7, 3, 3),
        strides: Sequence[int] = (4, 2, 2),
        paddings: Sequence[int] = (3, 1, 1),
        mlp_ratio: int = 4,
        channel_heads: int = 8,
        cross_heads: int = 1,
        spatial_heads: int = 1,
        dropout: float = 0.0,
        use_checkpoint: bool = False,
        variant: str | None = None,
    ) -> None:
        name = "DAEFormer"
        check_constructor(
            name,
            spatial_dims,
            dropout,
            in_channels=in_channels,
            out_channels=out_channels,
            mlp_ratio=mlp_ratio,
            channel_heads=channel_heads,
            cross_heads=cross_heads,
            spatial_heads=spatial_heads,
        )
        check_variant("daeformer", variant)
        c1, c2, c3 = check_widths(name, "embed_dims", embed_dims, 3)
        depths = check_widths(name, "depths", depths, 3)
        decoder_depths = check_widths(name, "decoder_depths", decoder_depths, 2)
        embed_kernels = check_widths(name, "embed_kernels", embed_kernels, 3)
        strides = check_widths(name, "strides", strides, 3)
        if decoder_dims is not None and check_widths(name, "decoder_dims", decoder_dims, 2) != (c1, c2):
            raise ValueError(
                f"{name}: decoder_dims must be the encoder's widths {(c1, c2)} at 1/4 and 1/8, got {decoder_dims}."
            )
        for width in (c1, c2, c3):
            check_divides(name, "channel_heads", channel_heads, width)
            check_divides(name, "spatial_heads", spatial_heads, width)
        for width in (c1, c2):
            check_divides(name, "cross_heads", cross_heads, width)
        for width in (c2, c3):
            check_divides(name, "the expansion's factor", 2, width)
        if (
            not isinstance(paddings, (list, tuple))
            or len(paddings) != 3
            or any(isinstance(p, bool) or not isinstance(p, int) or p < 0 for p in paddings)
            or any(not 0 < k - 2 * p <= s for k, s, p in zip(embed_kernels, strides, paddings, strict=True))
        ):
            raise ValueError(
                f"{name}: paddings must be three numbers with 0 < kernel - 2 * padding <= stride, so that each "
                f"embedding divides the size by its stride; got kernels {embed_kernels}, strides {strides}, paddings "
                f"{paddings}."
            )

        def block(c: int, fold: bool) -> nn.Module:
            def feed_forward() -> nn.Module:
                return MixFFN(c, mlp_ratio * c)

            if variant == "channel_only":
                return SingleAttentionBlock(c, ChannelAttention(c, channel_heads, fold), feed_forward(), use_checkpoint)
            efficient = EfficientAttention(c, spatial_heads, fold)
            if variant == "efficient_only":
                return SingleAttentionBlock(c, efficient, feed_forward(), use_checkpoint)
            return DualAttentionBlock(c, efficient, feed_forward, channel_heads, fold, use_checkpoint)

        def blocks(channels: int, depth: int, fold: bool) -> list[nn.Module]:
            return [block(channels, fold) for _ in range(depth)]

        def fuse(channels: int) -> nn.Module:
            if variant == "plain_skips":
                return ConcatSkip()
            return CrossAttentionSkip(channels, mlp_ratio * channels, cross_heads)

        def stage(i: int, source: int, channels: int, fold: bool) -> DualAttentionStage:
            embed = OverlapPatchEmbed(source, channels, embed_kernels[i], strides[i], paddings[i])
            return DualAttentionStage(embed, blocks(channels, depths[i], fold), channels)

        def decoder(i: int, source: int, channels: int) -> DualAttentionDecoderStage:
            return DualAttentionDecoderStage(
                source, channels, fuse(channels), blocks(channels, decoder_depths[i], True)
            )

        # At 224 x 224 the maps have 3136, 784 and 196 tokens: folding pays where there are more of them than channels.
        super().__init__(
            in_channels=in_channels,
            divisor=math.prod(strides),
            stage1=stage(0, 3 if in_channels == 1 else in_channels, c1, fold=True),
            stage2=stage(1, c1, c2, fold=True),
            stage3=stage(2, c2, c3, fold=False),
            expand3=PatchExpand(c3, c3 // 2, strides[2]),
            decoder2=decoder(1, c3 // 2, c2),
            expand2=PatchExpand(c2, c2 // 2, strides[1]),
            decoder1=decoder(0, c2 // 2, c1),
            head=PatchExpandHead(c1, out_channels, strides[0], dropout),
        )
        for part in (self.expand3, self.decoder2, self.expand2, self.decoder1, self.head):
            init_xavier(part)
