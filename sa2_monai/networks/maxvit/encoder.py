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

from sa2_monai.networks.maxvit.attention import AttentionBlock, position_offsets
from sa2_monai.networks.maxvit.mbconv import MBConv, Stem

__all__ = ["MaxViT"]


class Block(nn.Module):
    """Convolution, window attention, grid attention.

    Shape:
        ``(B, H, W, C)`` and the biases of both attentions' scores -> ``(B, H/stride, W/stride, D)``.
    """

    def __init__(self, conv: MBConv, window: AttentionBlock, grid: AttentionBlock) -> None:
        super().__init__()
        self.conv = conv
        self.attn_block = window
        self.attn_grid = grid

    def forward(self, x: torch.Tensor, window_bias: torch.Tensor, grid_bias: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        return self.attn_grid(self.attn_block(self.conv(x), window_bias), grid_bias)


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
                parts = (head_dim, expand_ratio, rel_pos_hidden, layer_scale, drop, use_checkpoint)
                conv = MBConv(width, channels, 2 if b == 0 else 1, expand_ratio, se_ratio, drop)
                window = AttentionBlock(channels, 2 ** (3 - s), False, *parts)
                grid = AttentionBlock(channels, 2 ** (3 - s), True, *parts)
                blocks.append(Block(conv, window, grid))
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
        p, q = x.shape[2] // 32, x.shape[3] // 32  # sides of all windows and grids
        offsets, index = position_offsets(p, q, x.device)
        x = self.stem(x).permute(0, 2, 3, 1).contiguous()  # (B, H/2, W/2, C)
        x1 = self.stages[0](x, offsets, index, p * q)  # (B, H/4, W/4, C)
        x2 = self.stages[1](x1, offsets, index, p * q)  # (B, H/8, W/8, C)
        x3 = self.stages[2](x2, offsets, index, p * q)  # (B, H/16, W/16, C)
        x4 = self.stages[3](x3, offsets, index, p * q)  # (B, H/32, W/32, C)
        return x1, x2, x3, self.norm(x4)
