# SPDX-License-Identifier: Apache-2.0
"""SA2-Net: scale-aware attention network for microscopic image segmentation.

Fiaz, Heidari, Anwer, Cholakkal: "SA2-Net: Scale-aware Attention Network for Microscopic Image Segmentation",
BMVC 2023, https://arxiv.org/abs/2309.16661. Numerically equal to the published code; section numbers in comments are
those of the paper. Where a cheaper order of operations gives the same numbers, it is used and the comment says why.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sa2_monai.networks.blocks import ChannelLayerNorm, ConvNormReLU, double_conv
from sa2_monai.networks.checks import check_constructor, check_input

__all__ = ["SA2Net"]


class LocalScaleAttention(nn.Module):
    """Local scale attention: a 3x3 view of the map gated by a 5x5 view of it.

    The gate is a sigmoid of a ReLU, so it lies in [0.5, 1).

    Shape:
        ``(B, C, H, W)`` -> ``(B, C, H, W)``.
    """

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(channels, hidden_channels, kernel_size=1)
        self.depthwise3 = nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1, groups=hidden_channels)
        self.depthwise5 = nn.Conv2d(hidden_channels, hidden_channels, 5, padding=2, groups=hidden_channels)
        self.project_out = nn.Conv2d(hidden_channels, channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter ``x``."""
        x = self.project_in(x)
        gate = torch.sigmoid(F.relu(self.depthwise5(x), inplace=True))
        return self.project_out(F.relu(self.depthwise3(x), inplace=True) * gate)


class ConvMLP(nn.Module):
    """Pixel-wise MLP with a depthwise position term on the normalised map and a residual on the raw one.

    Shape:
        ``(B, C, H, W)`` -> ``(B, C, H, W)``.
    """

    def __init__(self, channels: int, mlp_ratio: int, norm_eps: float) -> None:
        super().__init__()
        self.norm = ChannelLayerNorm(channels, norm_eps)
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.expand = nn.Conv2d(channels, mlp_ratio * channels, kernel_size=1)
        self.reduce = nn.Conv2d(mlp_ratio * channels, channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``x``."""
        y = self.norm(x)
        y = F.gelu(self.position(y)).add_(y)
        return self.reduce(F.gelu(self.expand(y))).add_(x)


class ScaleAwareAttention(nn.Module):
    """Scale-aware attention: four levels are compared at a quarter of the input's resolution (paper, section 3.2).

    Each level is filtered by its own local attention; a fusion of all four gives one shared query and one scalar
    gate per level, which multiply the level before it returns to its own resolution.

    Shape:
        levels of C channels at H, H/2, H/4, H/8 -> C, 2C, 4C, 8C channels at the same sizes.
    """

    def __init__(self, channels: int, local_expansion: int, mlp_ratio: int, norm_eps: float) -> None:
        super().__init__()
        self.channels = channels
        hidden = 2 * local_expansion * channels
        self.local = nn.ModuleList(LocalScaleAttention(channels, hidden) for _ in range(4))
        # Normalisation stands in front of a zero-padded convolution, so it cannot be folded into it.
        self.fusion_norm = nn.BatchNorm2d(4 * channels)
        self.fusion = nn.Conv2d(4 * channels, channels + 4, kernel_size=3, padding=1)
        self.query = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.mlp = nn.ModuleList(ConvMLP(channels, mlp_ratio, norm_eps) for _ in range(4))
        self.project = nn.ModuleList(nn.Conv2d(channels, channels * 2**k, 3, padding=1) for k in range(4))

    def forward(
        self, x1: torch.Tensor, x2: torch.Tensor, x3: torch.Tensor, x4: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Attend over the four levels, finest first."""
        # To H/4. Bilinear reduction by 4 without antialiasing is the mean of the central 2x2 of each 4x4 block,
        # by 2 it is 2x2 average pooling.
        local1 = self.local[0](F.avg_pool2d(x1[:, :, 1:-1, 1:-1], kernel_size=2, stride=4))
        local2 = self.local[1](F.avg_pool2d(x2, kernel_size=2))
        local3 = self.local[2](x3)
        local4 = self.local[3](F.interpolate(x4, size=x3.shape[-2:], mode="bilinear", align_corners=False))

        mixed = F.gelu(self.fusion(self.fusion_norm(torch.cat((local1, local2, local3, local4), dim=1))))
        shared, gates = mixed[:, : self.channels], mixed[:, self.channels :]  # (B, C, H/4, W/4), (B, 4, H/4, W/4)
        query = F.gelu(self.query(shared))

        y1 = local1 * gates[:, 0:1] * query
        y2 = local2 * gates[:, 1:2] * query
        y3 = local3 * gates[:, 2:3] * query
        y4 = local4 * gates[:, 3:4] * query
        # Back to each level's own size, with the unfiltered map as residual.
        y1 = F.interpolate(y1, size=x1.shape[-2:], mode="bilinear", align_corners=False).add_(x1)
        y2 = F.interpolate(y2, size=x2.shape[-2:], mode="bilinear", align_corners=False).add_(x2)
        y3 = y3 + x3
        y4 = F.avg_pool2d(y4, kernel_size=2).add_(x4)
        return (
            self.project[0](self.mlp[0](y1)),
            self.project[1](self.mlp[1](y2)),
            self.project[2](self.mlp[2](y3)),
            self.project[3](self.mlp[3](y4)),
        )


class AdaptiveUpAttention(nn.Module):
    """Adaptive up-attention: the deeper map gates the skip map, pixel by pixel (paper, section 3.3).

    Shape:
        deep ``(B, C, H/2, W/2)`` and skip ``(B, C, H, W)`` -> ``(B, out_channels, H, W)``.
    """

    def __init__(self, channels: int, out_channels: int, gate_kernel: int, norm_eps: float) -> None:
        super().__init__()
        self.norm = ChannelLayerNorm(channels, norm_eps)
        self.conv = nn.Conv2d(channels, channels, kernel_size=1)
        self.depthwise = nn.Conv2d(channels, channels, gate_kernel, padding=gate_kernel // 2, groups=channels)
        self.skip = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.gate = nn.Conv2d(2 * channels, 1, kernel_size=1)
        self.gate_norm = nn.BatchNorm2d(1)
        self.project = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.convs = double_conv(channels, out_channels)
        self.channels = channels

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Gate ``skip`` by ``deep`` and convolve."""
        # Normalisation, 1x1 convolution and GELU act per pixel and nearest up-sampling copies pixels:
        # doing them before the up-sampling costs a quarter.
        u = F.gelu(self.conv(self.norm(deep)))  # (B, C, H/2, W/2)
        u = self.depthwise(F.interpolate(u, scale_factor=2.0, mode="nearest"))  # (B, C, H, W)
        t = self.skip(skip)  # (B, C, H, W)
        # A 1x1 convolution of a concatenation is the sum of two: the concatenated map is never built.
        gate = F.conv2d(F.gelu(u), self.gate.weight[:, : self.channels], self.gate.bias)
        gate = gate + F.conv2d(F.gelu(t), self.gate.weight[:, self.channels :])  # (B, 1, H, W)
        y = self.project(torch.sigmoid(self.gate_norm(gate)) * t).add_(skip)
        return self.convs(y)


class SA2Net(nn.Module):
    """SA2-Net with logits as output.

    Args:
        spatial_dims: 2; there is no 3D form of this network.
        in_channels: channels of the image.
        out_channels: output channels: 1 for a sigmoid, the number of classes for a softmax.
        base_channels: width C; the five levels have C, 2C, 4C, 8C, 8C channels.
        deep_supervision: return four maps in training mode.
        local_expansion: hidden width of the local scale attention is ``2 * local_expansion * C``.
        mlp_ratio: hidden width of the MLPs in units of C.
        gate_kernel: depthwise kernel on the deep path of the up-attention; odd.
        norm_eps: epsilon of the channel layer normalisations.
        dropout: probability with which a channel in front of a head is dropped in training mode. The published
            network is that with 0; MONAI Label's epistemic scoring sets it.

    Shape:
        - input ``(B, in_channels, H, W)``, H and W positive multiples of 16; values as in training, published: [0, 1].
        - evaluation mode: one tensor of logits ``(B, out_channels, H, W)``.
        - training mode with deep supervision: a list of four tensors of that shape, finest decoder level first.

    Raises:
        ValueError: for an argument, a number of channels or a size that the network cannot take.

    Example::

        network = SA2Net(in_channels=3, out_channels=1).eval()
        logits = network(torch.rand(1, 3, 224, 224))  # (1, 1, 224, 224)
    """

    divisor = 16

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        base_channels: int = 64,
        deep_supervision: bool = True,
        local_expansion: int = 2,
        mlp_ratio: int = 4,
        gate_kernel: int = 11,
        norm_eps: float = 1e-6,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_constructor(
            "SA2Net",
            spatial_dims,
            dropout,
            in_channels=in_channels,
            out_channels=out_channels,
            base_channels=base_channels,
            local_expansion=local_expansion,
            mlp_ratio=mlp_ratio,
            gate_kernel=gate_kernel,
        )
        if gate_kernel % 2 == 0:
            raise ValueError(f"SA2Net: gate_kernel must be odd, got {gate_kernel}.")
        c = base_channels
        self.in_channels = in_channels
        self.deep_supervision = deep_supervision

        self.stage1 = ConvNormReLU(in_channels, c)
        self.stage2 = double_conv(c, 2 * c)
        self.stage3 = double_conv(2 * c, 4 * c)
        self.stage4 = double_conv(4 * c, 8 * c)
        self.stage5 = double_conv(8 * c, 8 * c)
        self.side2 = nn.Conv2d(2 * c, c, kernel_size=3, padding=1)
        self.side3 = nn.Conv2d(4 * c, c, kernel_size=3, padding=1)
        self.side4 = nn.Conv2d(8 * c, c, kernel_size=3, padding=1)
        self.side5 = nn.Conv2d(8 * c, 8 * c, kernel_size=3, padding=1)
        self.attention = ScaleAwareAttention(c, local_expansion, mlp_ratio, norm_eps)
        self.up4 = AdaptiveUpAttention(8 * c, 4 * c, gate_kernel, norm_eps)
        self.up3 = AdaptiveUpAttention(4 * c, 2 * c, gate_kernel, norm_eps)
        self.up2 = AdaptiveUpAttention(2 * c, c, gate_kernel, norm_eps)
        self.up1 = AdaptiveUpAttention(c, c, gate_kernel, norm_eps)
        self.dropout = nn.Dropout2d(dropout)
        self.head1 = nn.Conv2d(c, out_channels, kernel_size=1)
        self.head2 = nn.Conv2d(c, out_channels, kernel_size=1)
        self.head3 = nn.Conv2d(2 * c, out_channels, kernel_size=1)
        self.head4 = nn.Conv2d(4 * c, out_channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits of the image ``x``; see the class for shapes."""
        check_input(x, "SA2Net", self.in_channels, 16)
        x = x.contiguous(memory_format=torch.channels_last)  # oneDNN is faster so, and layer norm needs no copy
        x1 = self.stage1(x)  # (B, C, H, W)
        x2 = self.stage2(F.max_pool2d(x1, 2))  # (B, 2C, H/2, W/2)
        x3 = self.stage3(F.max_pool2d(x2, 2))  # (B, 4C, H/4, W/4)
        x4 = self.stage4(F.max_pool2d(x3, 2))  # (B, 8C, H/8, W/8)
        x5 = self.side5(self.stage5(F.max_pool2d(x4, 2)))  # (B, 8C, H/16, W/16)
        s1, s2, s3, s4 = self.attention(x1, self.side2(x2), self.side3(x3), self.side4(x4))
        d4 = self.up4(x5, s4)  # (B, 4C, H/8, W/8)
        d3 = self.up3(d4, s3)  # (B, 2C, H/4, W/4)
        d2 = self.up2(d3, s2)  # (B, C, H/2, W/2)
        d1 = self.up1(d2, s1)  # (B, C, H, W)
        logits = self.head1(self.dropout(d1))  # (B, out_channels, H, W)
        if not (self.training and self.deep_supervision):
            return logits
        # A 1x1 convolution commutes with bilinear interpolation: resize 1..C maps instead of 64..256.
        outputs = [logits]
        for y in (self.head2(self.dropout(d2)), self.head3(self.dropout(d3)), self.head4(self.dropout(d4))):
            outputs.append(F.interpolate(y, size=logits.shape[-2:], mode="bilinear", align_corners=False))
        return outputs
