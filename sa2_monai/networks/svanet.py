# SPDX-License-Identifier: Apache-2.0
"""SvANet: scale-variant attention for the segmentation of small medical objects.

Dai, Liu, Wu, Wu, Wang, Zhou, Yuan, Liu: "Exploiting Scale-Variant Attention for Segmenting Small Medical Objects", IEEE
Transactions on Neural Networks and Learning Systems 2026, https://arxiv.org/abs/2407.07720. Numerically equal to the
published code. Where a cheaper order of operations gives the same numbers, it is used and the comment says why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import Checkpointed, ConvUnit, ResNetEncoder, UpConvUnit
from sa2_monai.networks.checks import check_constructor, check_input
from sa2_monai.networks.scale_variant import (
    ASPP,
    AssembleFormer,
    CrossScaleGuidance,
    MonteCarloBottleneck,
    NoDecoder,
    NoGuidance,
    OpenGate,
    OpenPath,
    ScaleVariantAttention,
    SourceGate,
)
from sa2_monai.networks.variants import check_variant

__all__ = ["SvANet"]


class Branch(Checkpointed, nn.Sequential):
    """What each of the four finer maps of the encoder passes: Monte Carlo bottleneck, then AssembleFormer."""


class DecoderLevel(Checkpointed):
    """Doubles the deeper map, joins it with the skip map, and passes both through an :class:`AssembleFormer`.

    Shape:
        deep ``(B, deep_channels, H/2, W/2)`` and skip ``(B, C, H, W)`` -> ``(B, C, H, W)``.
    """

    def __init__(
        self, deep_channels: int, channels: int, depth: int, ratio: float, patch: int, norm_eps: float
    ) -> None:
        super().__init__()
        a = deep_channels // 4
        self.up = nn.Sequential(
            ConvUnit(deep_channels, a, 1, norm_eps=norm_eps),
            UpConvUnit(a, norm_eps),
            ConvUnit(a, channels, 1, norm_eps=norm_eps),
        )
        self.join = nn.Sequential(
            ConvUnit(2 * channels, channels, 3, norm_eps=norm_eps), ConvUnit(channels, channels, 1, norm_eps=norm_eps)
        )
        self.former: nn.Module = AssembleFormer(channels, depth, ratio, patch, norm_eps)

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Decode one level."""
        return self.former(self.join(torch.cat((self.up(deep), skip), dim=1)))


class AddingLevel(DecoderLevel):
    """A level of the decoder that adds the skip map, in a variant."""

    def __init__(
        self, deep_channels: int, channels: int, depth: int, ratio: float, patch: int, norm_eps: float
    ) -> None:
        super().__init__(deep_channels, channels, depth, ratio, patch, norm_eps)
        del self.join

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Decode one level."""
        return self.former(self.up(deep) + skip)


class SvANet(nn.Module):
    """SvANet with logits as output, which are one tensor in training as well.

    Args:
        spatial_dims: 2; there is no 3D form of this network.
        in_channels: channels of the image.
        out_channels: output channels: the number of classes for a softmax (published), or 1 for a sigmoid.
        img_size: side S of the images in training. It sets the grids of the scale-variant attention, S / (4 * 2^t)
            cells a side at level t, and nothing else; no tensor depends on it, and other sizes of image remain legal.
        encoder: ``"resnet50"`` (published), ``"resnet101"``, ``"resnet152"``, or the small ``"resnet14"`` and
            ``"resnet26"`` of the same bottlenecks.
        base_channels: width C; the five levels have C, 4C, 8C, 16C, 32C channels; even.
        mc_pool_sizes: cells a side, one of which the Monte Carlo gates look at in training.
        mc_shuffle: look at as many random pixels instead.
        mc_expansion: inner width of the Monte Carlo bottlenecks in units of their input.
        mc_reduction: their gates are narrower than that by this factor, but have 32 channels at least.
        former_depth: transformer blocks in each AssembleFormer.
        former_ratio: hidden width of their MLPs.
        patch: side of their patches.
        grid_divisor: pixels a side in a cell of the scale-variant grids.
        grid_min: least number of cells a side.
        guidance_drop_path: rate of the drop path of a fifth source; those of sources 1, 2, 3 are 0, 1/4 and 2/4 of it.
        aspp_rates: dilations of the pyramid pooling.
        aspp_channels: its width.
        aspp_dropout: probability with which one of its channels is dropped in training.
        norm_eps: epsilon of all batch normalisations outside of the transformers, where it is 1e-5.
        dropout: probability with which a channel in front of the head is dropped in training. The published
            network is that with 0; MONAI Label's epistemic scoring sets it.
        use_checkpoint: in training, do not keep the inner maps of branches and decoder levels, but compute them twice.
        variant: what is left out to measure its worth, see :data:`sa2_monai.networks.ablations.SVANET`; ``None``: the
            published network.

    Shape:
        - input ``(B, in_channels, H, W)``, H and W positive multiples of 32, published: 512; values in [0, 1]. In
          training B must be 2 at least.
        - output: logits ``(B, out_channels, H, W)``.

    Raises:
        ValueError: for an argument, a number of channels or a size that the network cannot take, and for a training
            step with a single image.

    Example::

        network = SvANet(in_channels=3, out_channels=2).eval()
        logits = network(torch.rand(1, 3, 512, 512))  # (1, 2, 512, 512)
    """

    divisor = 32

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 2,
        *,
        img_size: int = 512,
        encoder: str = "resnet50",
        base_channels: int = 64,
        mc_pool_sizes: Sequence[int] = (1, 2, 3),
        mc_shuffle: bool = True,
        mc_expansion: int = 2,
        mc_reduction: int = 4,
        former_depth: int = 2,
        former_ratio: float = 2.0,
        patch: int = 2,
        grid_divisor: int = 4,
        grid_min: int = 4,
        guidance_drop_path: float = 0.2,
        aspp_rates: Sequence[int] = (12, 24, 36),
        aspp_channels: int = 512,
        aspp_dropout: float = 0.1,
        norm_eps: float = 1e-3,
        dropout: float = 0.0,
        use_checkpoint: bool = False,
        variant: str | None = None,
    ) -> None:
        super().__init__()
        check_constructor(
            "SvANet",
            spatial_dims,
            dropout,
            in_channels=in_channels,
            out_channels=out_channels,
            img_size=img_size,
            base_channels=base_channels,
            mc_expansion=mc_expansion,
            mc_reduction=mc_reduction,
            former_depth=former_depth,
            patch=patch,
            grid_divisor=grid_divisor,
            grid_min=grid_min,
            aspp_channels=aspp_channels,
            **{f"mc_pool_sizes[{i}]": size for i, size in enumerate(mc_pool_sizes)},
            **{f"aspp_rates[{i}]": rate for i, rate in enumerate(aspp_rates)},
        )
        if base_channels % 2 != 0:
            raise ValueError(f"SvANet: base_channels must be even, got {base_channels}.")
        if not former_ratio > 0.0:
            raise ValueError(f"SvANet: former_ratio must be positive, got {former_ratio}.")
        if len(mc_pool_sizes) == 0:
            raise ValueError("SvANet: mc_pool_sizes must name at least one size.")
        for name, rate in (("guidance_drop_path", guidance_drop_path), ("aspp_dropout", aspp_dropout)):
            if not 0.0 <= rate < 1.0:
                raise ValueError(f"SvANet: {name} must lie in [0, 1), got {rate}.")
        check_variant("svanet", variant)
        self.in_channels = in_channels
        self.divisor = math.lcm(32, 16 * patch)  # the patches of level 4 must fit, too
        channels = [base_channels, *(base_channels * 2**k for k in range(2, 6))]
        grids = [max(img_size // 2 ** (level + 1) // grid_divisor, grid_min) for level in range(4)]

        def branch(c: int) -> nn.Module:
            if variant in ("plain_skips", "no_branches"):
                return nn.Identity()
            pools = (1,) if variant == "squeeze_excitation" else mc_pool_sizes  # 1: the whole map
            bottleneck = MonteCarloBottleneck(c, mc_expansion, mc_reduction, pools, mc_shuffle, norm_eps)
            if variant == "no_bottleneck_gate":
                bottleneck.gate = OpenGate()
            if variant == "no_branch_formers":
                return Branch(bottleneck)
            return Branch(bottleneck, AssembleFormer(c, former_depth, former_ratio, patch, norm_eps))

        def guidance() -> nn.Module:
            if variant in ("plain_skips", "no_guidance"):
                return NoGuidance()
            gate = {"no_scale_attention": OpenPath, "source_gate": SourceGate}.get(str(variant), ScaleVariantAttention)
            return CrossScaleGuidance(channels[:4], grids, guidance_drop_path, norm_eps, gate)

        def level(deep: int, c: int) -> nn.Module:
            if variant == "no_decoder":
                return NoDecoder()
            kind = AddingLevel if variant == "added_skips" else DecoderLevel
            made = kind(deep, c, former_depth, former_ratio, patch, norm_eps)
            if variant == "no_decoder_formers":
                made.former = nn.Identity()
            return made

        self.encoder = ResNetEncoder(encoder, in_channels, base_channels, norm_eps)
        self.branches = nn.ModuleList(branch(c) for c in channels[:4])
        self.guidance = guidance()
        self.aspp = ASPP(channels[4], aspp_channels, aspp_rates, aspp_dropout, norm_eps)
        self.decoder = nn.ModuleList(level(channels[t + 1], channels[t]) for t in (3, 2, 1, 0))  # deepest level first
        for part in (*self.branches, *self.decoder):
            part.use_checkpoint = use_checkpoint
        self.dropout = nn.Dropout2d(dropout)
        self.head_channels = [*channels[:4], aspp_channels]
        self.head = nn.Conv2d(sum(self.head_channels), out_channels, kernel_size=1)
        # The memory format in which the maps lie; else the kernels would be copied at each call.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the image ``x``; see the class for shapes."""
        check_input(x, "SvANet", self.in_channels, self.divisor)
        if self.training and x.shape[0] < 2:
            raise ValueError(
                "SvANet: the batch must be of 2 images at least in training (normalisation of one value per image "
                "in the pooling branch). Raise batch_size or leave a last batch of 1 out (drop_last)."
            )
        height, width = x.shape[2], x.shape[3]
        maps = self.encoder(x)  # C, 4C, 8C, 16C, 32C channels at 1/2, 1/4, 1/8, 1/16, 1/32
        for i, branch in enumerate(self.branches):
            maps[i] = branch(maps[i])
        deep = maps[4]
        maps = self.guidance(maps[:4])  # C, 4C, 8C, 16C channels at 1/2, 1/4, 1/8, 1/16

        # The 1x1 convolution of the head commutes with bilinear interpolation and is a sum over its inputs: each map is
        # classified at its own size, and few channels are resized and added. No map of all channels is built.
        weights = self.head.weight.split(self.head_channels, dim=1)
        size = [height // 2, width // 2]
        scores = F.conv2d(self.dropout(self.aspp(deep)), weights[4], self.head.bias)  # (B, out_channels, H/32, W/32)
        scores = F.interpolate(scores, size=size, mode="bilinear", align_corners=True)
        for i, level in enumerate(self.decoder):
            deep = level(deep, maps[3 - i])  # (B, channels of the level, H/16 ... H/2, W/16 ... W/2)
            y = F.conv2d(self.dropout(deep), weights[3 - i])
            scores = scores + F.interpolate(y, size=size, mode="bilinear", align_corners=True)
        return F.interpolate(scores, size=[height, width], mode="bilinear", align_corners=True)
