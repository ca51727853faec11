# SPDX-License-Identifier: Apache-2.0
"""HSA-UNet: hybrid scale attention UNet for medical image segmentation.

Chen, Luo: "HSA-Unet: Hybrid Scale Attention Unet for Medical Images Segmentation", 2024. No publication of this name
is known: the published code (github.com/WallaceCheny/HSA-Unet) is the reference, and this network gives the same
numbers. What that code carries and never uses (31 % of its parameters) is left out. The U shape, the channel attention
and the decoder are those of DAE-Former; the attention over positions comes from SG-Former.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import (
    MLP,
    ChannelAttention,
    ConcatSkip,
    CrossAttentionSkip,
    DualAttentionBlock,
    DualAttentionDecoderStage,
    DualAttentionStage,
    DualAttentionUNet,
    Linear,
    MergedLinear,
    PatchExpand,
    PatchExpandHead,
    PatchReduce,
    SingleAttentionBlock,
    init_he_fan_out,
    init_xavier,
)
from sa2_monai.networks.checks import check_constructor, check_divides, check_widths
from sa2_monai.networks.variants import check_variant

__all__ = ["HSAUNet"]


class ConvPatchEmbed(nn.Module):
    """Patch embedding by four 3x3 convolutions; after each but the last, GELU and then layer normalisation.

    Shape:
        ``(B, H, W, in_channels)`` -> ``(B, H / (2 * stride), W / (2 * stride), out_channels)``.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv1 = nn.Conv2d(in_channels, half, kernel_size=3, stride=2, padding=1)
        self.norm1 = nn.LayerNorm(half)
        self.conv2 = nn.Conv2d(half, half, kernel_size=3, padding=1)
        self.norm2 = nn.LayerNorm(half)
        self.conv3 = nn.Conv2d(half, out_channels, kernel_size=3, stride=stride, padding=1)
        self.norm3 = nn.LayerNorm(out_channels)
        self.conv4 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embed the map ``x``."""
        x = self.norm1(F.gelu(self.conv1(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)))
        x = self.norm2(F.gelu(self.conv2(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)))
        x = self.norm3(F.gelu(self.conv3(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)))
        return self.conv4(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class HybridScaleAttention(nn.Module):
    """Half of the heads attend to a reduced map, the other half inside windows; a convolution adds positions.

    Source: Ren et al., "SG-Former", ICCV 2023, section 3.2, as the published code of HSA-UNet uses it: no shift of
    windows, no position bias.

    Args:
        channels: width C of input and output.
        heads: number of heads, even.
        reduction: side of the patches that become one key of the global half.
        window: side of the windows of the local half.

    Shape:
        ``(B, H, W, C)`` -> the same; H and W multiples of ``window``.
    """

    def __init__(self, channels: int, heads: int, reduction: int, window: int) -> None:
        super().__init__()
        half = channels // 2
        self.heads = heads // 2  # of each half
        self.window = window
        self.reduce = PatchReduce(channels, reduction)
        self.reduce_norm = nn.LayerNorm(channels)
        self.global_query = Linear(channels, half, bias=False)
        self.global_key_value = Linear(channels, channels, bias=False)
        self.local_qkv = MergedLinear(channels, [half, channels], bias=False)
        self.position = Linear(channels, channels)
        self.position_conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels)
        self.project = Linear(channels, channels)

    def _global(self, x: torch.Tensor) -> torch.Tensor:
        b, height, width, c = x.shape
        h, d = self.heads, c // (2 * self.heads)
        reduced = F.gelu(self.reduce_norm(self.reduce(x)))  # (B, H/r, W/r, C)
        kv = self.global_key_value(reduced).reshape(b, -1, 2, h, d).permute(2, 0, 3, 1, 4)  # (2, B, h, N/r^2, d)
        q = self.global_query(x).reshape(b, -1, h, d).transpose(1, 2)  # (B, h, N, d)
        out = F.scaled_dot_product_attention(q, kv[0], kv[1])
        return out.transpose(1, 2).reshape(b, height, width, c // 2)

    def _local(self, x: torch.Tensor) -> torch.Tensor:
        b, height, width, c = x.shape
        h, d, w = self.heads, c // (2 * self.heads), self.window
        rows, columns = height // w, width // w
        qkv = self.local_qkv(x).reshape(b, rows, w, columns, w, 3, h, d)
        qkv = qkv.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, b * rows * columns, h, w * w, d)
        out = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        out = out.reshape(b, rows, columns, h, w, w, d).permute(0, 1, 4, 2, 5, 3, 6)
        return out.reshape(b, height, width, c // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend over the positions of ``x``."""
        position = self.position_conv(self.position(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.project(torch.cat((self._global(x), self._local(x)), dim=-1) + position)


class HSAUNet(DualAttentionUNet):
    """HSA-UNet with logits as output.

    Args:
        spatial_dims: 2; there is no 3D form of this network.
        in_channels: channels of the image. One channel is repeated to three, as published, so that a checkpoint for
            colour images serves for grey ones; a network for three channels takes an image of one as well.
        out_channels: output channels: 1 for a sigmoid, the number of classes for a softmax.
        embed_dims: widths (C1, C2, C3) of the encoder stages.
        depths: dual attention blocks of each encoder stage.
        decoder_depths: dual attention blocks of the decoder stages at 1/4 and 1/8.
        num_heads: heads of the hybrid attention in each encoder stage; even: half of them attend globally.
        decoder_num_heads: the same for the decoder stages at 1/4 and 1/8.
        sr_ratios: reduction of the global keys in each encoder stage.
        decoder_sr_ratios: the same for the decoder stages at 1/4 and 1/8.
        window_size: side of the local windows.
        mlp_ratio: hidden width of the feed-forward parts in units of the stage's width.
        channel_heads: heads of the channel attention.
        cross_heads: heads of the cross-attention in the skip connections at 1/4 and 1/8, or one number for both;
            by default ``decoder_num_heads``.
        dropout: probability with which a channel in front of the classifier is dropped in training mode. The published
            network is that with 0; MONAI Label's epistemic scoring sets it.
        use_checkpoint: recalculate the blocks in the backward pass of training instead of keeping their maps.
        variant: what is left out to measure its worth, see :data:`sa2_monai.networks.ablations.HSAUNET`; ``None``: the
            published network.

    Shape:
        - input ``(B, in_channels, H, W)``, H and W positive multiples of 16 * window_size = 112; values as in
          training, published: [-1, 1]. At multiples of 224 the reduced maps cover everything; at other multiples of
          112 the last rows and columns are missing from the global keys, as in the published code.
        - output ``(B, out_channels, H, W)``, logits, in both modes.

    Raises:
        ValueError: for an argument, a number of channels or a size that the network cannot take.

    Example::

        network = HSAUNet(in_channels=3, out_channels=2).eval()
        logits = network(torch.rand(1, 3, 224, 224))  # (1, 2, 224, 224)
    """

    divisor = 112

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        embed_dims: Sequence[int] = (128, 320, 512),
        depths: Sequence[int] = (2, 2, 2),
        decoder_depths: Sequence[int] = (2, 2),
        num_heads: Sequence[int] = (2, 4, 8),
        decoder_num_heads: Sequence[int] = (4, 4),
        sr_ratios: Sequence[int] = (8, 4, 2),
        decoder_sr_ratios: Sequence[int] = (4, 4),
        window_size: int = 7,
        mlp_ratio: int = 4,
        channel_heads: int = 8,
        cross_heads: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        use_checkpoint: bool = False,
        variant: str | None = None,
    ) -> None:
        name = "HSAUNet"
        check_constructor(
            name,
            spatial_dims,
            dropout,
            in_channels=in_channels,
            out_channels=out_channels,
            window_size=window_size,
            mlp_ratio=mlp_ratio,
            channel_heads=channel_heads,
        )
        check_variant("hsaunet", variant)
        c1, c2, c3 = check_widths(name, "embed_dims", embed_dims, 3)
        depths = check_widths(name, "depths", depths, 3)
        decoder_depths = check_widths(name, "decoder_depths", decoder_depths, 2)
        # of the five stages: encoder at 1/4, 1/8, 1/16, decoder at 1/4, 1/8
        widths = (c1, c2, c3, c1, c2)
        heads = check_widths(name, "num_heads", num_heads, 3)
        heads += check_widths(name, "decoder_num_heads", decoder_num_heads, 2)
        reductions = check_widths(name, "sr_ratios", sr_ratios, 3)
        reductions += check_widths(name, "decoder_sr_ratios", decoder_sr_ratios, 2)
        if cross_heads is None:
            cross_heads = decoder_num_heads
        elif isinstance(cross_heads, int):
            cross_heads = (cross_heads, cross_heads)
        cross_heads = check_widths(name, "cross_heads", cross_heads, 2)
        owners = ("", "", "", "decoder_", "decoder_")
        for owner, width, h, r, shrink in zip(owners, widths, heads, reductions, (4, 8, 16, 4, 8), strict=True):
            check_divides(name, "channel_heads", channel_heads, width)
            check_divides(name, f"{owner}num_heads", h, width)
            if h % 2 != 0:
                raise ValueError(f"{name}: {owner}num_heads must be even, for half of them attend globally; got {h}.")
            if r * shrink > 16 * window_size:
                raise ValueError(
                    f"{name}: {owner}sr_ratios must be at most {16 * window_size // shrink} at 1/{shrink}, the side of "
                    f"the smallest map there, got {r}."
                )
        for width, h in zip((c1, c2), cross_heads, strict=True):
            check_divides(name, "cross_heads", h, width)

        def block(i: int) -> nn.Module:
            # At 224 x 224 there are 3136, 784 and 196 tokens: folding pays where there are more of them than channels.
            c, fold = widths[i], i != 2

            def feed_forward() -> nn.Module:
                return MLP(c, mlp_ratio * c)

            if variant == "channel_only":
                return SingleAttentionBlock(c, ChannelAttention(c, channel_heads, fold), feed_forward(), use_checkpoint)
            hybrid = HybridScaleAttention(c, heads[i], reductions[i], window_size)
            if variant == "hybrid_only":
                return SingleAttentionBlock(c, hybrid, feed_forward(), use_checkpoint)
            return DualAttentionBlock(c, hybrid, feed_forward, channel_heads, fold, use_checkpoint)

        def blocks(i: int, depth: int) -> list[nn.Module]:
            return [block(i) for _ in range(depth)]

        def fuse(i: int) -> nn.Module:
            if variant == "plain_skips":
                return ConcatSkip()
            return CrossAttentionSkip(widths[i], mlp_ratio * widths[i], cross_heads[i])

        def stage(i: int, source: int, stride: int) -> DualAttentionStage:
            return DualAttentionStage(ConvPatchEmbed(source, widths[i], stride), blocks(i, depths[i]), widths[i])

        def decoder(i: int, source: int) -> DualAttentionDecoderStage:
            return DualAttentionDecoderStage(source, widths[i], fuse(i), blocks(3 + i, decoder_depths[i]))

        super().__init__(
            in_channels=in_channels,
            divisor=16 * window_size,
            stage1=stage(0, 3 if in_channels == 1 else in_channels, stride=2),
            stage2=stage(1, c1, stride=1),
            stage3=stage(2, c2, stride=1),
            expand3=PatchExpand(c3, c3 // 2),
            decoder2=decoder(1, c3 // 2),
            expand2=PatchExpand(c2, c2 // 2),
            decoder1=decoder(0, c2 // 2),
            head=PatchExpandHead(c1, out_channels, 4, dropout),
        )
        for encoder in (self.stage1, self.stage2, self.stage3):
            init_xavier(encoder.blocks, convolutions=False)
            init_he_fan_out(encoder.blocks)
        for part in (self.expand3, self.decoder2, self.expand2, self.decoder1, self.head):
            init_xavier(part)
