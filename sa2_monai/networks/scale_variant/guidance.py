# SPDX-License-Identifier: Apache-2.0
"""Cross-scale guidance of SvANet: finer levels guide deeper ones, weighted by scale-variant attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks.conv_units import ConvUnit
from sa2_monai.networks.scale_variant.pooling import pooling_matrix, weighted_sum

__all__ = ["CrossScaleGuidance", "GuidancePath", "ScaleVariantAttention"]


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
        gate: of the path, made of the channels of its maps, those of the target, and the grid.

    Shape:
        ``(B, channels[source], H, W)`` -> map ``(B, channels[target], H / 2^n, W / 2^n)`` with
        n = target - source, and its factor ``(B, channels[target], 1, 1)``.
    """

    def __init__(
        self,
        source: int,
        target: int,
        channels: Sequence[int],
        grid: int,
        drop_path: float,
        norm_eps: float,
        gate: Callable[[Sequence[int], int, int], nn.Module] = ScaleVariantAttention,
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
        self.attention = gate([a] * steps + [b], b, grid)

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

    def __init__(
        self,
        channels: Sequence[int],
        grids: Sequence[int],
        drop_path: float,
        norm_eps: float,
        gate: Callable[[Sequence[int], int, int], nn.Module] = ScaleVariantAttention,
    ) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            GuidancePath(s, t, channels, grids[t], drop_path * s / 4, norm_eps, gate)
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
