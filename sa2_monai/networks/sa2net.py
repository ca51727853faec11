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

from sa2_monai.networks.blocks import ConvNormReLU, double_conv
from sa2_monai.networks.checks import check_constructor, check_input
from sa2_monai.networks.scale_aware import (
    AdaptiveUpAttention,
    GlobalScaleAttention,
    LocalScalesAlone,
    PlainSkips,
    ScaleAwareAttention,
    StandardConvolutions,
)
from sa2_monai.networks.variants import check_variant

__all__ = ["SA2Net"]

#: What stands between encoder and decoder in a variant.
_SKIPS = {
    "plain_skips": PlainSkips,
    "no_global_scale": LocalScalesAlone,
    "no_local_scale": GlobalScaleAttention,
}


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
        variant: what is left out to measure its worth, see :data:`sa2_monai.networks.ablations.SA2NET`; ``None``:
            the published network.

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
        variant: str | None = None,
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
        check_variant("sa2net", variant)
        c = base_channels
        one_head = variant == "no_deep_supervision"
        self.in_channels = in_channels
        self.deep_supervision = deep_supervision and not one_head

        self.stage1 = ConvNormReLU(in_channels, c)
        self.stage2 = double_conv(c, 2 * c)
        self.stage3 = double_conv(2 * c, 4 * c)
        self.stage4 = double_conv(4 * c, 8 * c)
        self.stage5 = double_conv(8 * c, 8 * c)
        self.side2 = nn.Conv2d(2 * c, c, kernel_size=3, padding=1)
        self.side3 = nn.Conv2d(4 * c, c, kernel_size=3, padding=1)
        self.side4 = nn.Conv2d(8 * c, c, kernel_size=3, padding=1)
        self.side5 = nn.Conv2d(8 * c, 8 * c, kernel_size=3, padding=1)
        self.attention = _SKIPS.get(str(variant), ScaleAwareAttention)(c, local_expansion, mlp_ratio, norm_eps)
        up = StandardConvolutions if variant == "standard_convolutions" else AdaptiveUpAttention
        self.up4 = up(8 * c, 4 * c, gate_kernel, norm_eps)
        self.up3 = up(4 * c, 2 * c, gate_kernel, norm_eps)
        self.up2 = up(2 * c, c, gate_kernel, norm_eps)
        self.up1 = up(c, c, gate_kernel, norm_eps)
        self.dropout = nn.Dropout2d(dropout)
        self.head1 = nn.Conv2d(c, out_channels, kernel_size=1)
        self.head2 = nn.Identity() if one_head else nn.Conv2d(c, out_channels, kernel_size=1)
        self.head3 = nn.Identity() if one_head else nn.Conv2d(2 * c, out_channels, kernel_size=1)
        self.head4 = nn.Identity() if one_head else nn.Conv2d(4 * c, out_channels, kernel_size=1)

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
