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

from sa2_monai.networks.blocks import (
    AssembleFormer,
    ConvUnit,
    ResNetEncoder,
    UpConvUnit,
    checkpointed,
    in_parts,
    pooling_matrix,
    weighted_sum,
)
from sa2_monai.networks.blocks.recording import records_graph
from sa2_monai.networks.checks import check_constructor, check_input

__all__ = ["SvANet"]


class MonteCarloGate(nn.Module):
    """Squeeze-and-excitation that, in training, looks at a random part of the map in place of all of it.

    The part has the size of a cell of an adaptive pooling to 1, 2 or 3 cells a side, all equally likely, and is a
    random set of pixels (``shuffle``) or that cell itself; one draw per call, from torch's generator, without a
    synchronisation with the host.

    Args:
        channels: channels C of the map.
        reduced_channels: inner width of the gate.
        pool_sizes: cells a side.
        shuffle: pixels from everywhere instead of a cell.

    Shape:
        ``(B, C, H, W)`` -> gate in (0, 1), ``(B, C, 1, 1)``.
    """

    def __init__(self, channels: int, reduced_channels: int, pool_sizes: Sequence[int], shuffle: bool) -> None:
        super().__init__()
        self.shuffle = shuffle
        self.pool_sizes = list(pool_sizes)
        self.reduce = nn.Conv2d(channels, reduced_channels, kernel_size=1)
        self.expand = nn.Conv2d(reduced_channels, channels, kernel_size=1)

    def draw(self, x: torch.Tensor) -> torch.Tensor:
        """Weights of the pixels of ``x``, ``(H, W)``: 1 / m for the m pixels that are looked at, else 0."""
        height, width, device = x.shape[2], x.shape[3], x.device
        drawn = torch.randint(len(self.pool_sizes), (1,), device=device)
        k = torch.zeros_like(drawn)
        for i, size in enumerate(self.pool_sizes):
            k = torch.where(drawn == i, size, k)
        cell = (torch.rand(2, device=device) * k).long()
        row, column = torch.arange(height, device=device), torch.arange(width, device=device)
        # row >= floor(i height / k) and row < ceil((i + 1) height / k), in whole numbers
        rows = ((row + 1) * k > cell[0] * height) & (row * k < (cell[0] + 1) * height)
        columns = ((column + 1) * k > cell[1] * width) & (column * k < (cell[1] + 1) * width)
        count = rows.sum() * columns.sum()
        if self.shuffle:
            keep = (torch.randperm(height * width, device=device) < count).view(height, width)
        else:
            keep = rows[:, None] & columns
        return keep.to(torch.float64 if x.dtype == torch.float64 else torch.float32) / count

    def forward(self, x: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Gate of the map ``x``; ``weights`` take the place of those drawn in training."""
        if self.training or weights is not None:
            if weights is None:
                weights = self.draw(x)
            v = weighted_sum(x, weights.flatten()[None, None]).transpose(1, 2)[..., None]  # (B, C, 1, 1)
        else:
            v = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self.expand(F.relu(self.reduce(v), inplace=True)))


class MonteCarloBottleneck(nn.Module):
    """Inverted residual bottleneck with a :class:`MonteCarloGate`; no activation after the sum.

    Shape:
        ``(B, C, H, W)`` -> the same.
    """

    def __init__(
        self,
        channels: int,
        expansion: int,
        reduction: int,
        pool_sizes: Sequence[int],
        shuffle: bool,
        norm_eps: float,
    ) -> None:
        super().__init__()
        hidden = expansion * channels
        self.expand = ConvUnit(channels, hidden, 1, norm_eps=norm_eps)
        self.conv = ConvUnit(hidden, hidden, 3, norm_eps=norm_eps)
        self.gate = MonteCarloGate(hidden, max(hidden // reduction, 32), pool_sizes, shuffle)
        self.project = ConvUnit(hidden, channels, 1, activation="none", norm_eps=norm_eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        y = self.conv(self.expand(x))
        return self.project(y * self.gate(y)).add_(x)


class ScaleVariantAttention(nn.Module):
    """Channel gate of a path, made of all its resolutions.

    Each map is averaged over the cells of a grid and projected; in evaluation the gate is made of the mean over cells
    and maps, in training every cell counts for one randomly chosen map. Only weighted sums over the pixels of each map
    are computed: pooling, choice and mean over cells are one set of weights, and the projection is linear.

    Args:
        in_channels: channels of each map, finest first.
        out_channels: channels C of the gate.
        grid: cells a side.

    Shape:
        maps ``(B, in_channels[i], H_i, W_i)`` -> gate in (0, 1), ``(B, C, 1, 1)``.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.squeezes = nn.ModuleList(nn.Conv2d(c, out_channels, kernel_size=1) for c in in_channels)

    def forward(self, maps: list[torch.Tensor], labels: torch.Tensor | None = None) -> torch.Tensor:
        """Gate of the ``maps``; ``labels`` (grid, grid) say which map a cell counts for, in place of a draw."""
        p, n = self.grid, len(maps)
        x = maps[0]
        if self.training and labels is None:
            labels = torch.randint(n, (p, p), device=x.device)
        share = torch.full((p, p), 1.0 / (n * p * p), dtype=x.dtype, device=x.device)
        total = torch.zeros(1, dtype=x.dtype, device=x.device)
        for i, squeeze in enumerate(self.squeezes):
            x = maps[i]
            rows, columns = pooling_matrix(p, x.shape[2], x), pooling_matrix(p, x.shape[3], x)
            cells = share.to(rows.dtype)
            if labels is not None:
                cells = (labels == i).to(rows.dtype) / (p * p)
            weights = rows.t() @ cells @ columns  # (H_i, W_i)
            mean = weighted_sum(x, weights.flatten()[None, None])[:, 0]  # (B, in_channels[i])
            bias = squeeze.bias
            assert bias is not None
            share_of_map = cells.sum().to(x.dtype)
            total = total + F.linear(mean, squeeze.weight.flatten(1), bias * share_of_map)  # type: ignore[operator]
        return torch.sigmoid(total)[..., None, None]


class GuidancePath(nn.Module):
    """Learned reduction of one level to the size and width of a deeper one, with its gate.

    Args:
        source: index of the level that guides, 0 to 2.
        target: index of the level that is guided.
        channels: widths of all levels.
        grid: cells a side of the gate's grid.
        drop_path: probability with which a sample goes without this guidance in training.
        norm_eps: epsilon of the normalisations.

    Shape:
        ``(B, channels[source], H, W)`` -> map ``(B, channels[target], H / 2^n, W / 2^n)`` with
        n = target - source, and its factor ``(B, channels[target], 1, 1)``.
    """

    def __init__(
        self, source: int, target: int, channels: Sequence[int], grid: int, drop_path: float, norm_eps: float
    ) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.drop_path = drop_path
        a, b = channels[source], channels[target]
        steps = target - source
        self.steps = nn.ModuleList()
        for i in range(steps):
            c = b if i == steps - 1 else a
            unit3 = ConvUnit(a, c, 3, stride=2, norm_eps=norm_eps)
            self.steps.append(nn.Sequential(unit3, ConvUnit(c, c, 1, norm_eps=norm_eps)))
        self.attention = ScaleVariantAttention([a] * steps + [b], b, grid)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map and factor; their product is the guidance."""
        maps = [x]
        for step in self.steps:
            x = step(x)
            maps.append(x)
        gate = self.attention(maps)
        if self.training and self.drop_path > 0.0:
            keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.drop_path
            gate = gate * keep / (1.0 - self.drop_path)
        return x, gate


class CrossScaleGuidance(nn.Module):
    """Each level is guided by all finer ones, finest source first: what was guided guides the deeper ones.

    Shape:
        four maps of ``channels`` at 1/2, 1/4, 1/8, 1/16 -> the same.
    """

    def __init__(self, channels: Sequence[int], grids: Sequence[int], drop_path: float, norm_eps: float) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            GuidancePath(s, t, channels, grids[t], drop_path * s / 4, norm_eps)
            for s in range(3)
            for t in range(s + 1, 4)
        )

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Guide the ``maps``, finest first."""
        maps = list(maps)
        for path in self.paths:
            y, gate = path(maps[path.source])  # type: ignore[index]
            maps[path.target] = torch.addcmul(maps[path.target], y, gate.to(y.dtype))  # type: ignore[index]
        return maps


class DecoderLevel(nn.Module):
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
        self.former = AssembleFormer(channels, depth, ratio, patch, norm_eps)

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Decode one level."""
        return self.former(self.join(torch.cat((self.up(deep), skip), dim=1)))


class DilatedUnit(ConvUnit):
    """3x3 :class:`ConvUnit` of large dilation that leaves out the taps which meet nothing but padding.

    On a side not longer than the dilation, of three taps only the middle one does. Exported graphs keep all taps, so
    that they stay free in their sizes.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, normalise, rectify."""
        weight, pad_y, pad_x = self.conv.weight, self.padding, self.padding
        if not records_graph():
            if x.shape[2] <= self.dilation:
                weight, pad_y = weight[:, :, 1:2], 0
            if x.shape[3] <= self.dilation:
                weight, pad_x = weight[:, :, :, 1:2], 0
        y = F.conv2d(x, weight, None, 1, [pad_y, pad_x], self.dilation)
        return F.relu(self.norm(y), inplace=True)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: one pixel, three dilations and the whole image, joined.

    Shape:
        ``(B, in_channels, H, W)`` -> ``(B, out_channels, H, W)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, rates: Sequence[int], dropout: float, norm_eps: float
    ) -> None:
        super().__init__()
        self.point = ConvUnit(in_channels, out_channels, 1, norm_eps=norm_eps)
        self.dilated = nn.ModuleList(
            DilatedUnit(in_channels, out_channels, 3, dilation=rate, norm_eps=norm_eps) for rate in rates
        )
        self.pool = ConvUnit(in_channels, out_channels, 1, norm_eps=norm_eps)
        self.project = ConvUnit((len(rates) + 2) * out_channels, out_channels, 1, norm_eps=norm_eps)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Context of the map ``x``."""
        maps = [self.point(x)]
        for unit in self.dilated:
            maps.append(unit(x))
        pooled = self.pool(x.mean((2, 3), keepdim=True))
        maps.append(pooled.expand(-1, -1, x.shape[2], x.shape[3]))
        return self.dropout(self.project(torch.cat(maps, dim=1)))


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
        self.in_channels = in_channels
        self.use_checkpoint = use_checkpoint
        self.divisor = math.lcm(32, 16 * patch)  # the patches of level 4 must fit, too
        channels = [base_channels, *(base_channels * 2**k for k in range(2, 6))]
        grids = [max(img_size // 2 ** (level + 1) // grid_divisor, grid_min) for level in range(4)]

        self.encoder = ResNetEncoder(encoder, in_channels, base_channels, norm_eps)
        self.branches = nn.ModuleList(
            nn.Sequential(
                MonteCarloBottleneck(c, mc_expansion, mc_reduction, mc_pool_sizes, mc_shuffle, norm_eps),
                AssembleFormer(c, former_depth, former_ratio, patch, norm_eps),
            )
            for c in channels[:4]
        )
        self.guidance = CrossScaleGuidance(channels[:4], grids, guidance_drop_path, norm_eps)
        self.aspp = ASPP(channels[4], aspp_channels, aspp_rates, aspp_dropout, norm_eps)
        self.decoder = nn.ModuleList(  # deepest level first
            DecoderLevel(channels[t + 1], channels[t], former_depth, former_ratio, patch, norm_eps)
            for t in (3, 2, 1, 0)
        )
        self.dropout = nn.Dropout2d(dropout)
        self.head_channels = [*channels[:4], aspp_channels]
        self.head = nn.Conv2d(sum(self.head_channels), out_channels, kernel_size=1)
        # The memory format in which forward works; else the weights were copied in each call.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the image ``x``; see the class for shapes."""
        if not torch.jit.is_tracing():
            check_input(x, "SvANet", self.in_channels, self.divisor)
            if self.training and x.shape[0] < 2:
                raise ValueError(
                    "SvANet: the batch must be of 2 images at least in training (normalisation of one value per image "
                    "in the pooling branch). Raise batch_size or leave a last batch of 1 out (drop_last)."
                )
        if x.device.type == "cpu" and not self.training:
            x = x.contiguous(memory_format=torch.channels_last)  # faster forwards, but slower backwards
        height, width = x.shape[2], x.shape[3]
        if torch.jit.is_scripting():
            maps = self.encoder(x)  # C, 4C, 8C, 16C, 32C channels at 1/2, 1/4, 1/8, 1/16, 1/32
        else:
            maps = list(in_parts(self, self.encoder, x, widest=self.head_channels[0] * height * width // 4))
        for i, branch in enumerate(self.branches):
            if torch.jit.is_scripting():
                maps[i] = branch(maps[i])
            else:
                maps[i] = self._part(branch, maps[i])
        deep = maps[4]
        maps = self.guidance(maps[:4])  # C, 4C, 8C, 16C channels at 1/2, 1/4, 1/8, 1/16

        # The 1x1 convolution of the head commutes with bilinear interpolation and is a sum over its inputs: each map is
        # classified at its own size, and few channels are resized and added. No map of all channels is built.
        weights = self.head.weight.split(self.head_channels, dim=1)
        size = [height // 2, width // 2]
        scores = F.conv2d(self.dropout(self.aspp(deep)), weights[4], self.head.bias)  # (B, out_channels, H/32, W/32)
        scores = F.interpolate(scores, size=size, mode="bilinear", align_corners=True)
        for i, level in enumerate(self.decoder):
            skip = maps.pop()
            if torch.jit.is_scripting():
                deep = level(deep, skip)
            else:
                deep = self._part(level, deep, skip)
            y = F.conv2d(self.dropout(deep), weights[3 - i])
            if i < 3:
                y = F.interpolate(y, size=size, mode="bilinear", align_corners=True)
            scores = scores + y
        return F.interpolate(scores, size=[height, width], mode="bilinear", align_corners=True)

    def _part(self, part: nn.Module, *maps: torch.Tensor) -> torch.Tensor:
        """A branch or decoder level: in training recomputed if wished, in evaluation on a CPU in parts of the batch."""
        if self.use_checkpoint and self.training:
            return checkpointed(part, *maps)
        result: torch.Tensor = in_parts(self, part, *maps, widest=2 * maps[-1][0].numel())
        return result
