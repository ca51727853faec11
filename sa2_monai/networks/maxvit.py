# SPDX-License-Identifier: Apache-2.0
"""MaxViT encoder with relative positions from an MLP.

Tu et al.: "MaxViT: Multi-Axis Vision Transformer", ECCV 2022, https://arxiv.org/abs/2204.01697, in the variant whose
ImageNet weights timm publishes as ``maxvit_rmlp_small_rw_224.sw_in1k``. The names of modules are timm's, so that those
weights load by name (:func:`sa2_monai.weights.load_encoder`). Maps are held with the channel last: then the
convolutions, the layer normalisations and the matrix products all work on the same memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from sa2_monai.networks.blocks.folding import FOLDABLE, PointwiseConv
from sa2_monai.networks.blocks.linear import Linear, linear
from sa2_monai.networks.blocks.norms import norm_affine
from sa2_monai.networks.blocks.recording import is_compiled, records_graph
from sa2_monai.networks.blocks.stochastic_depth import StochasticDepth

__all__ = ["MaxViT"]


class Stem(nn.Module):
    """Two 3x3 convolutions, the first with stride 2.

    Args:
        in_channels: channels of the image; with 1, the first convolution has 3, all fed with the image.
        hidden_channels: width in between.
        out_channels: width of the output.

    Shape:
        ``(B, in_channels, H, W)`` -> ``(B, out_channels, H/2, W/2)``.
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__()
        self.grey = in_channels == 1
        in_channels = 3 if self.grey else in_channels
        self.conv1 = nn.Conv2d(in_channels, hidden_channels, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(hidden_channels)
        self.conv2 = nn.Conv2d(hidden_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reduce the image ``x``."""
        weight = self.conv1.weight
        if self.grey:
            weight = weight.sum(1, keepdim=True)  # the same as repeating the channel, at a fraction of the work
        norm = self.norm1
        if norm.training or is_compiled():
            return self.conv2(F.silu(norm(F.conv2d(x, weight, stride=2, padding=1))))
        scale, shift = norm_affine(norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps)
        x = F.conv2d(x, weight * scale[:, None, None, None], shift, stride=2, padding=1)
        return self.conv2(F.silu(x, inplace=True))


class SqueezeExcite(nn.Module):
    """Gate of each channel from the means of all channels.

    Shape:
        ``(B, H, W, C)`` -> ``(B, 1, 1, C)``, values in (0, 1).
    """

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.fc1 = PointwiseConv(channels, hidden_channels)
        self.fc2 = PointwiseConv(hidden_channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Gates for the map ``x``."""
        return torch.sigmoid(self.fc2(F.silu(self.fc1(x.mean((1, 2), keepdim=True)))))


class Shortcut(nn.Module):
    """2x2 average pooling and a 1x1 convolution: the residual path where size and width change.

    Shape:
        ``(B, H, W, C)`` -> ``(B, H/2, W/2, D)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.expand = PointwiseConv(in_channels, out_channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool and widen ``x``."""
        return self.expand(F.avg_pool2d(x.permute(0, 3, 1, 2), kernel_size=2).permute(0, 2, 3, 1))


class MBConv(nn.Module):
    """Inverted residual with squeeze and excitation, normalised in front.

    Shape:
        ``(B, H, W, C)`` -> ``(B, H/stride, W/stride, D)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expand_ratio: int, se_ratio: float, drop_path: float
    ) -> None:
        super().__init__()
        hidden = expand_ratio * in_channels
        self.stride = stride
        self.hidden = hidden
        self.shortcut = Shortcut(in_channels, out_channels) if stride == 2 else nn.Identity()
        self.pre_norm = nn.BatchNorm2d(in_channels)
        self.conv1_1x1 = PointwiseConv(in_channels, hidden, bias=False)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.conv2_kxk = nn.Conv2d(hidden, hidden, 3, stride=stride, padding=1, groups=hidden, bias=False)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.se = SqueezeExcite(hidden, max(1, round(se_ratio * hidden)))
        self.conv3_1x1 = PointwiseConv(hidden, out_channels, bias=False)
        self.drop_path = StochasticDepth(drop_path)
        self.foldable = in_channels * hidden <= FOLDABLE

    def _expand(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise, widen, normalise: three passes, or one matrix product where folding the norms pays."""
        before = self.pre_norm
        after = self.norm1
        if before.training or after.training or not self.foldable or is_compiled():
            x = self.conv1_1x1(before(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
            return after(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        scale0, shift0 = norm_affine(before.weight, before.bias, before.running_mean, before.running_var, before.eps)
        scale1, shift1 = norm_affine(after.weight, after.bias, after.running_mean, after.running_var, after.eps)
        weight = self.conv1_1x1.weight.flatten(1) * scale1[:, None]
        return linear(x, weight * scale0, torch.addmv(shift1, weight, shift0))

    def _depthwise(self, x: torch.Tensor) -> torch.Tensor:
        norm = self.norm2
        x = x.permute(0, 3, 1, 2)
        if norm.training or is_compiled():
            return norm(self.conv2_kxk(x)).permute(0, 2, 3, 1)
        scale, shift = norm_affine(norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps)
        weight = self.conv2_kxk.weight * scale[:, None, None, None]
        return F.conv2d(x, weight, shift, stride=self.stride, padding=1, groups=self.hidden).permute(0, 2, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        inplace = not self.training  # the gradient needs what goes in
        y = F.silu(self._depthwise(F.silu(self._expand(x), inplace=inplace)), inplace=inplace)
        y = self.conv3_1x1(y * self.se(y))
        return self.drop_path(y) + self.shortcut(x)


class PositionMLP(nn.Module):
    """Parameters of the two linear layers between which are a rectifier and dropout; a :class:`Stage` applies them.

    Args:
        heads: number of outputs.
        hidden: width in between.
    """

    def __init__(self, heads: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(2, hidden)
        self.fc2 = nn.Linear(hidden, heads)


class RelativePosition(nn.Module):
    """Holds the position MLP of an attention, under timm's name for it."""

    def __init__(self, heads: int, hidden: int) -> None:
        super().__init__()
        self.mlp = PositionMLP(heads, hidden)


class Attention(nn.Module):
    """Multi-head self-attention; queries, keys and values are packed head by head.

    Shape:
        ``(windows, T, C)`` and the bias of the scores ``(1, heads, T, T)`` -> ``(windows, T, C)``.
    """

    def __init__(self, channels: int, head_dim: int, rel_pos_hidden: int) -> None:
        super().__init__()
        self.heads = channels // head_dim
        self.qkv = Linear(channels, 3 * channels)
        self.rel_pos = RelativePosition(self.heads, rel_pos_hidden)
        self.proj = Linear(channels, channels)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Attend within each window of ``x``."""
        windows, tokens, channels = x.shape
        packed = self.qkv(x).reshape(windows, tokens, self.heads, 3 * channels // self.heads).transpose(1, 2)
        q, k, v = packed.chunk(3, dim=-1)  # (windows, heads, T, head_dim)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        y = y.transpose(1, 2)
        if records_graph():  # where the graph runs, the product may lie in memory in another order than here
            y = y.clone(memory_format=torch.contiguous_format)
        return self.proj(y.reshape(windows, tokens, channels))


class MLP(nn.Module):
    """Two linear layers with an exact GELU in between.

    Shape:
        ``(..., C)`` -> the same.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(channels, hidden)
        self.fc2 = Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        return self.fc2(linear(x, self.fc1.weight, self.fc1.bias, "gelu"))


class LayerScale(nn.Module):
    """Residual sum with a learned factor per channel on the branch.

    Shape:
        ``(..., C)`` and ``(..., C)`` -> the same.
    """

    def __init__(self, channels: int, value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), value))

    def forward(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        """``x + gamma * branch`` in one pass."""
        return torch.addcmul(x, self.gamma, branch)


class AttentionBlock(nn.Module):
    """Attention within windows or dilated grids, then an MLP (paper, section 3.2).

    A map of ``count * p`` by ``count * q`` pixels has ``count**2`` contiguous windows of p x q pixels, or as many grids
    of p x q pixels that lie ``count`` apart.

    Shape:
        ``(B, H, W, C)`` and the bias of the scores ``(1, heads, T, T)`` -> ``(B, H, W, C)``.
    """

    def __init__(
        self,
        channels: int,
        count: int,
        grid: bool,
        head_dim: int,
        expand_ratio: int,
        rel_pos_hidden: int,
        layer_scale: float,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.count = count
        self.grid = grid
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = Attention(channels, head_dim, rel_pos_hidden)
        self.ls1 = LayerScale(channels, layer_scale)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = MLP(channels, expand_ratio * channels)
        self.ls2 = LayerScale(channels, layer_scale)
        self.drop_path = StochasticDepth(drop_path)

    def _attend(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        n = self.count
        b, h, w, c = x.shape
        p, q = h // n, w // n
        # Where a map is divided the sum is taken on the divided view, so that no map has to be put together again.
        if n == 1:
            y = self.attn(self.norm1(x).reshape(b, p * q, c), bias)
            return self.ls1(x, self.drop_path(y.reshape(b, p, q, c)))
        if self.grid:
            x = x.reshape(b, p, n, q, n, c)
            y = self.norm1(x).permute(0, 2, 4, 1, 3, 5)  # (B, n, n, p, q, C)
        else:
            x = x.reshape(b, n, p, n, q, c)
            y = self.norm1(x).permute(0, 1, 3, 2, 4, 5)
        y = self.attn(y.reshape(b * n * n, p * q, c), bias).reshape(b, n, n, p, q, c)
        y = y.permute(0, 3, 1, 4, 2, 5) if self.grid else y.permute(0, 1, 3, 2, 4, 5)
        return self.ls1(x, self.drop_path(y)).reshape(b, h, w, c)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Attend and transform ``x``."""
        x = self._attend(x, bias)
        return self.ls2(x, self.drop_path(self.mlp(self.norm2(x))))


class Block(nn.Module):
    """Convolution, window attention, grid attention.

    Shape:
        ``(B, H, W, C)`` and the biases of both attentions' scores -> ``(B, H/stride, W/stride, D)``.
    """

    def __init__(self, conv: MBConv, window: AttentionBlock, grid: AttentionBlock, use_checkpoint: bool) -> None:
        super().__init__()
        self.conv = conv
        self.attn_block = window
        self.attn_grid = grid
        self.use_checkpoint = use_checkpoint

    def forward(self, x: torch.Tensor, window_bias: torch.Tensor, grid_bias: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        # The convolution is not checkpointed: its norms would update their statistics twice.
        x = self.conv(x)
        if not torch.jit.is_scripting():  # noqa: SIM102 - TorchScript leaves out what stands behind this alone
            if self.use_checkpoint and self.training:
                x = checkpoint(self.attn_block, x, window_bias, use_reentrant=False)
                return checkpoint(self.attn_grid, x, grid_bias, use_reentrant=False)
        return self.attn_grid(self.attn_block(x, window_bias), grid_bias)


class Stage(nn.Module):
    """Blocks at one resolution; the first halves the size and sets the width.

    Args:
        blocks: the blocks.
        heads: heads of their attentions.
        dropout: in their position MLPs; one mask for all images and windows.

    Shape:
        ``(B, H, W, C)`` -> ``(B, H/2, W/2, D)``.
    """

    def __init__(self, blocks: Sequence[Block], heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.heads = heads
        self.dropout = dropout

    def _biases(self, offsets: torch.Tensor, index: torch.Tensor, tokens: int) -> torch.Tensor:
        """Bias of the scores of each attention, ``(attentions, 1, heads, T, T)``; all position MLPs work at once."""
        weight1, bias1, weight2, bias2 = [], [], [], []
        for block in self.blocks:
            window = block.attn_block.attn.rel_pos.mlp  # type: ignore[union-attr]
            grid = block.attn_grid.attn.rel_pos.mlp  # type: ignore[union-attr]
            weight1 += [window.fc1.weight, grid.fc1.weight]  # type: ignore[union-attr]
            bias1 += [window.fc1.bias, grid.fc1.bias]  # type: ignore[union-attr]
            weight2 += [window.fc2.weight, grid.fc2.weight]  # type: ignore[union-attr]
            bias2 += [window.fc2.bias, grid.fc2.bias]  # type: ignore[union-attr]
        n = len(weight1)
        weight, bias = torch.cat(weight1), torch.cat(bias1)  # type: ignore[arg-type]
        x = F.relu(F.linear(offsets.to(weight.dtype), weight, bias))
        x = F.dropout(x, self.dropout, self.training)
        x = x.reshape(x.shape[0], n, -1).permute(1, 2, 0)  # (attentions, hidden, offsets)
        weight, bias = torch.stack(weight2), torch.stack(bias2)  # type: ignore[arg-type]
        table = torch.baddbmm(bias[:, :, None], weight, x)
        return table.index_select(2, index).reshape(n, 1, self.heads, tokens, tokens)

    def forward(self, x: torch.Tensor, offsets: torch.Tensor, index: torch.Tensor, tokens: int) -> torch.Tensor:
        """Transform ``x``; for the other arguments see :func:`position_offsets`."""
        biases = self._biases(offsets, index, tokens)
        for i, block in enumerate(self.blocks):
            x = block(x, biases[2 * i], biases[2 * i + 1])
        return x


def position_offsets(p: int, q: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Logarithmic offsets between the pixels of a window, and where each pair of pixels finds its own.

    Args:
        p: rows of the window.
        q: columns of the window.
        device: of the result.

    Returns:
        offsets ``((2p - 1)(2q - 1), 2)`` as ``sign(d) log(1 + |d|)`` of (rows, columns), float32 as in the published
        code; index ``(T * T,)`` into them, T = p q, query times T plus key.
    """
    rows = torch.arange(1 - p, p, device=device).to(torch.float32)
    columns = torch.arange(1 - q, q, device=device).to(torch.float32)
    offsets = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).reshape(-1, 2)
    y, x = torch.arange(p, device=device), torch.arange(q, device=device)
    row = (y[:, None] - y[None, :] + (p - 1)) * (2 * q - 1)  # (p, p)
    column = x[:, None] - x[None, :] + (q - 1)  # (q, q)
    index = (row[:, None, :, None] + column[None, :, None, :]).reshape(-1)
    return torch.sign(offsets) * torch.log1p(torch.abs(offsets)), index


class MaxViT(nn.Module):
    """Four feature maps of an image, at 1/4, 1/8, 1/16 and 1/32 of its size.

    Windows and grids have 1/32 of the image's height and width at every stage, whatever its size.

    Args:
        in_channels: channels of the image; with 1, the stem keeps 3 input channels, which the image feeds equally, as
            in the published code.
        stem_channels: widths of the two convolutions of the stem.
        encoder_channels: widths of the four stages.
        encoder_depths: blocks of each stage.
        head_dim: width of an attention head; divides every width of a stage.
        expand_ratio: hidden width of MBConv and MLP over their input width.
        se_ratio: width of the squeeze over the hidden width of MBConv.
        rel_pos_hidden: hidden width of the position MLPs.
        rel_pos_dropout: dropout in the position MLPs.
        drop_path_rate: probability of dropping a residual branch of the last block; it grows linearly from 0 at the
            first block.
        layer_scale: initial factor of the residual branches.
        use_checkpoint: recompute the attention blocks in the backward pass instead of keeping their activations.

    Shape:
        ``(B, in_channels, H, W)``, H and W positive multiples of 32 -> four maps ``(B, H/s, W/s, C)`` for s = 4, 8, 16,
        32, channel last in shape; the last one is normalised.
    """

    def __init__(
        self,
        in_channels: int = 3,
        stem_channels: Sequence[int] = (32, 64),
        encoder_channels: Sequence[int] = (96, 192, 384, 768),
        encoder_depths: Sequence[int] = (2, 2, 5, 2),
        head_dim: int = 32,
        expand_ratio: int = 4,
        se_ratio: float = 1 / 16,
        rel_pos_hidden: int = 512,
        rel_pos_dropout: float = 0.125,
        drop_path_rate: float = 0.0,
        layer_scale: float = 1e-6,
        use_checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.stem = Stem(in_channels, stem_channels[0], stem_channels[1])
        width, position, last = stem_channels[1], 0, max(1, sum(encoder_depths) - 1)
        stages = []
        for s, (channels, depth) in enumerate(zip(encoder_channels, encoder_depths, strict=True)):
            blocks = []
            for b in range(depth):
                drop = drop_path_rate * position / last
                parts = (head_dim, expand_ratio, rel_pos_hidden, layer_scale, drop)
                conv = MBConv(width, channels, 2 if b == 0 else 1, expand_ratio, se_ratio, drop)
                window = AttentionBlock(channels, 2 ** (3 - s), False, *parts)
                grid = AttentionBlock(channels, 2 ** (3 - s), True, *parts)
                blocks.append(Block(conv, window, grid, use_checkpoint))
                width, position = channels, position + 1
            stages.append(Stage(blocks, channels // head_dim, rel_pos_dropout))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights as the published definition does when it is not given ImageNet weights."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.weight.shape[0] * module.weight[0, 0].numel() / module.groups
                nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if ".mlp." in name:
                    nn.init.normal_(module.bias, std=1e-6)
                else:
                    nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features of the image ``x``, finest first."""
        x1, x2 = self.fine(x)
        x3, x4 = self.deep(x2)
        return x1, x2, x3, x4

    def fine(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The two finest maps of the image ``x``."""
        p, q = x.shape[2] // 32, x.shape[3] // 32
        offsets, index = position_offsets(p, q, x.device)
        x = self.stem(x).permute(0, 2, 3, 1).contiguous()  # (B, H/2, W/2, C)
        x1 = self.stages[0](x, offsets, index, p * q)  # (B, H/4, W/4, C)
        return x1, self.stages[1](x1, offsets, index, p * q)  # (B, H/8, W/8, C)

    def deep(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The two deepest maps, from the second, ``(B, H/8, W/8, C)``."""
        p, q = x.shape[1] // 4, x.shape[2] // 4
        offsets, index = position_offsets(p, q, x.device)
        x3 = self.stages[2](x, offsets, index, p * q)  # (B, H/16, W/16, C)
        x4 = self.stages[3](x3, offsets, index, p * q)  # (B, H/32, W/32, C)
        return x3, self.norm(x4)
