# SPDX-License-Identifier: Apache-2.0
"""MSA2-Net: multi-scale adaptive attention-guided network.

Ghorbani Kolahi et al.: "MSA2Net: Multi-scale Adaptive Attention-guided Network for Medical Image Segmentation",
BMVC 2024, https://arxiv.org/abs/2407.21640. Numerically equal to the published code. Maps have the channel as last axis
in shape as well as in memory, so that no layer has to turn them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sa2_monai.networks.blocks import (
    ChannelAttention,
    DualAttentionBlock,
    EfficientAttention,
    LargeKernelBlock,
    Linear,
    MixFFN,
    PatchExpand,
    PatchExpandHead,
    SingleAttentionBlock,
    SpatialAttentionGate,
    init_xavier,
)
from sa2_monai.networks.checks import check_constructor, check_input
from sa2_monai.networks.maxvit import MaxViT
from sa2_monai.networks.variants import check_variant

__all__ = ["MSA2Net"]


def scramble(x: torch.Tensor) -> torch.Tensor:
    """Read the memory of ``(B, H, W, C)`` as ``(B, C, H, W)`` and return that as ``(B, H, W, C)``.

    The published decoder does so where a transposition was meant; trained weights depend on it.
    """
    b, h, w, c = x.shape
    return x.flatten(1).reshape(b, c, h, w).permute(0, 2, 3, 1).contiguous()


def unscramble(x: torch.Tensor) -> torch.Tensor:
    """The inverse of :func:`scramble`."""
    b, h, w, c = x.shape
    return x.permute(0, 3, 1, 2).flatten(1).reshape(b, h, w, c)


class Scramble(nn.Module):
    """:func:`scramble` as a module, which a variant leaves out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scramble ``x``."""
        return scramble(x)


class Unscramble(nn.Module):
    """:func:`unscramble` as a module."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Put the values of ``x`` back."""
        return unscramble(x)


class DecoderLevel(nn.Module):
    """Fusion with the encoder's map, two transformer blocks, expansion to the next finer grid.

    Args:
        channels: width C.
        gate: of the encoder's map by the decoder's; ``None`` adds the encoder's map as it is.
        blocks: transformer blocks on ``(B, H, W, C)`` by name.
        restore: undo the scrambled layout behind the blocks; the published network does not with dual blocks.
        expand: expansion of ``(B, H, W, C)``.
        scrambled: read the maps in the scrambled layout, as published.

    Shape:
        decoder's and encoder's map ``(B, H, W, C)`` -> as ``expand`` gives.
    """

    def __init__(
        self,
        channels: int,
        gate: SpatialAttentionGate | None,
        blocks: Mapping[str, nn.Module],
        restore: bool,
        expand: nn.Module,
        scrambled: bool = True,
    ) -> None:
        super().__init__()
        self.project = Linear(channels, channels)
        self.gate = gate
        self.norm = nn.LayerNorm(channels)
        self.blocks = nn.Sequential(OrderedDict(blocks))
        self.restore = restore
        self.expand = expand
        self.enter = Scramble() if scrambled else nn.Identity()
        self.leave = Unscramble() if scrambled and restore else nn.Identity()

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Fuse, refine and expand."""
        g, x = self.enter(self.project(deep)), self.enter(skip)
        if self.gate is not None:
            x = self.gate(x, g)
        return self.expand(self.leave(self.blocks(self.norm(x + g))))


class MSA2Net(nn.Module):
    """MSA2-Net with logits as output.

    Args:
        spatial_dims: 2; there is no 3D form of this network.
        in_channels: channels of the image. With 1, the stem keeps the 3 input channels of the published network, which
            repeats the channel.
        out_channels: output channels: 1 for a sigmoid, the number of classes for a softmax.
        img_size: the only size (one number, or height and width) that is accepted; ``None`` accepts every legal size.
            Weights do not depend on it. Windows and grids have 1/32 of the size of the image that comes in.
        stem_channels: widths of the two convolutions of the stem.
        encoder_channels: widths of the four encoder stages, each twice the one before, the first even.
        encoder_depths: blocks of the four encoder stages.
        head_dim: width of an attention head of the encoder.
        expand_ratio: hidden width of MBConv and of all MLPs over their width.
        se_ratio: width of the squeeze over the hidden width of MBConv.
        rel_pos_hidden: hidden width of the position MLPs.
        rel_pos_dropout: dropout in the position MLPs, the only random part of the published network.
        drop_path_rate: probability of dropping a residual branch of the last encoder block; grows linearly from 0.
        dropout: probability with which a value is dropped in the decoder's MLPs and a channel in front of the head, in
            training mode. The published network is that with 0; MONAI Label's epistemic scoring sets it.
        encoder_layer_scale: initial factor of the encoder's attention branches.
        layer_scale: initial factor of the branches of the large-kernel blocks.
        channel_attention_heads: heads of the channel attention of the dual blocks.
        deep_level: what works at 1/16 of the resolution: ``"dual"``, the network of the paper, or ``"lka"``, the
            published file as Python reads it: large-kernel blocks there, too, and no gate.
        use_checkpoint: recompute attention and transformer blocks and the last expansion in the backward pass instead
            of keeping their activations: less memory in training, more time. Convolutions with batch normalisation
            keep theirs.
        variant: what is left out to measure its worth, see :data:`sa2_monai.networks.ablations.MSA2NET`; ``None``: the
            published network. Variants are those of the paper's network, ``deep_level="dual"``.

    Shape:
        - input ``(B, in_channels, H, W)``, H and W positive multiples of 32; values as in training, published:
          [-1, 1]. Training mode needs B * H * W > 1024: one value per channel has no statistics.
        - one tensor of logits ``(B, out_channels, H, W)`` in every mode; there is no deep supervision.

    Raises:
        ValueError: for an argument, a number of channels or a size that the network cannot take.

    Example::

        network = MSA2Net(in_channels=1, out_channels=9).eval()
        logits = network(torch.rand(1, 1, 224, 224))  # (1, 9, 224, 224)
    """

    divisor = 32

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        img_size: int | Sequence[int] | None = None,
        stem_channels: Sequence[int] = (32, 64),
        encoder_channels: Sequence[int] = (96, 192, 384, 768),
        encoder_depths: Sequence[int] = (2, 2, 5, 2),
        head_dim: int = 32,
        expand_ratio: int = 4,
        se_ratio: float = 1 / 16,
        rel_pos_hidden: int = 512,
        rel_pos_dropout: float = 0.125,
        drop_path_rate: float = 0.0,
        dropout: float = 0.0,
        encoder_layer_scale: float = 1e-6,
        layer_scale: float = 1e-2,
        channel_attention_heads: int = 8,
        deep_level: str = "dual",
        use_checkpoint: bool = False,
        variant: str | None = None,
    ) -> None:
        super().__init__()
        check_constructor(
            "MSA2Net",
            spatial_dims,
            dropout,
            in_channels=in_channels,
            out_channels=out_channels,
            head_dim=head_dim,
            expand_ratio=expand_ratio,
            rel_pos_hidden=rel_pos_hidden,
            channel_attention_heads=channel_attention_heads,
        )
        _check_widths(stem_channels, encoder_channels, encoder_depths, head_dim, channel_attention_heads)
        for name, value in (("rel_pos_dropout", rel_pos_dropout), ("drop_path_rate", drop_path_rate)):
            if not 0.0 <= value < 1.0:
                raise ValueError(f"MSA2Net: {name} must lie in [0, 1), got {value}.")
        if not 0.0 < se_ratio <= 1.0:
            raise ValueError(f"MSA2Net: se_ratio must lie in (0, 1], got {se_ratio}.")
        if deep_level not in ("dual", "lka"):
            raise ValueError(f"MSA2Net: deep_level must be 'dual' or 'lka', got {deep_level!r}.")
        check_variant("msa2net", variant)
        if variant is not None and deep_level != "dual":
            raise ValueError(f"MSA2Net: variant {variant!r} is of deep_level 'dual', got deep_level {deep_level!r}.")
        self.in_channels = in_channels
        self.size = _legal_size(img_size)
        dual = deep_level == "dual" and variant != "large_kernel_only"
        scrambled = variant != "true_layout"
        c0, c1, c2, c3 = encoder_channels

        def large_kernel(channels: int) -> dict[str, nn.Module]:
            arguments = (channels, expand_ratio, layer_scale, dropout, use_checkpoint)
            return {name: LargeKernelBlock(*arguments) for name in ("lka1", "lka2")}

        def feed_forward() -> nn.Module:
            return nn.Sequential(MixFFN(c2, expand_ratio * c2, skip=False), nn.Dropout(dropout))

        def attention_block() -> nn.Module:
            # Folding is for more tokens than channels; here there are 196 and 384.
            if variant == "channel_only":
                channel = ChannelAttention(c2, channel_attention_heads, fold=False)
                return SingleAttentionBlock(c2, channel, feed_forward(), use_checkpoint)
            efficient = EfficientAttention(c2, fold=False)
            if variant == "efficient_only":
                return SingleAttentionBlock(c2, efficient, feed_forward(), use_checkpoint)
            return DualAttentionBlock(
                c2, efficient, feed_forward, channel_attention_heads, fold=False, use_checkpoint=use_checkpoint
            )

        def dual_attention() -> dict[str, nn.Module]:
            return {name: attention_block() for name in ("dual1", "dual2")}

        def gate(channels: int) -> SpatialAttentionGate | None:
            return None if variant == "plain_skips" else SpatialAttentionGate(channels)

        self.encoder = MaxViT(
            in_channels,
            stem_channels,
            encoder_channels,
            encoder_depths,
            head_dim,
            expand_ratio,
            se_ratio,
            rel_pos_hidden,
            rel_pos_dropout,
            drop_path_rate,
            encoder_layer_scale,
            use_checkpoint,
        )
        self.level3 = PatchExpand(c3, c2)
        self.level2 = DecoderLevel(
            c2,
            gate(c2) if deep_level == "dual" else None,
            dual_attention() if dual else large_kernel(c2),
            not dual,
            PatchExpand(c2, c1),
            scrambled,
        )
        self.level1 = DecoderLevel(c1, gate(c1), large_kernel(c1), True, PatchExpand(c1, c0), scrambled)
        head = PatchExpandHead(c0, out_channels, dropout=dropout, use_checkpoint=use_checkpoint)
        self.level0 = DecoderLevel(c0, gate(c0), large_kernel(c0), True, head, scrambled)
        for level in (self.level3, self.level2, self.level1, self.level0):
            init_xavier(level)
        # The memory format in which the maps lie; else the kernels would be copied at each call.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the image ``x``; see the class for shapes."""
        check_input(x, "MSA2Net", self.in_channels, 32, only_size=self.size)
        e0, e1, e2, e3 = self.encoder(x)  # (B, H/s, W/s, C), C to 8C channels at s = 4, 8, 16, 32
        d2 = self.level2(self.level3(e3), e2)  # (B, H/8, W/8, 2C)
        d1 = self.level1(d2, e1)  # (B, H/4, W/4, C)
        return self.level0(d1, e0)  # (B, out_channels, H, W)


def _check_widths(
    stem_channels: Sequence[int],
    encoder_channels: Sequence[int],
    encoder_depths: Sequence[int],
    head_dim: int,
    channel_attention_heads: int,
) -> None:
    for name, values, length in (
        ("stem_channels", stem_channels, 2),
        ("encoder_channels", encoder_channels, 4),
        ("encoder_depths", encoder_depths, 4),
    ):
        if len(values) != length or any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in values):
            raise ValueError(f"MSA2Net: {name} must be {length} positive integers, got {values!r}.")
    first = encoder_channels[0]
    if list(encoder_channels) != [first, 2 * first, 4 * first, 8 * first]:
        raise ValueError(f"MSA2Net: each of encoder_channels must be twice the one before, got {encoder_channels!r}.")
    if first % head_dim:
        raise ValueError(
            f"MSA2Net: encoder_channels must be multiples of head_dim {head_dim}, got {encoder_channels!r}."
        )
    if encoder_channels[2] % channel_attention_heads:
        raise ValueError(
            f"MSA2Net: encoder_channels[2] must be a multiple of channel_attention_heads {channel_attention_heads}, "
            f"got {encoder_channels[2]}."
        )


def _legal_size(img_size: int | Sequence[int] | None) -> tuple[int, int]:
    """Height and width; (0, 0) stands for all."""
    if img_size is None:
        return 0, 0
    size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
    if len(size) != 2 or any(isinstance(s, bool) or not isinstance(s, int) or s < 32 or s % 32 for s in size):
        raise ValueError(f"MSA2Net: img_size must be one or two positive multiples of 32, got {img_size!r}.")
    return size[0], size[1]
