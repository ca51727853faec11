# SPDX-License-Identifier: Apache-2.0
"""MONAI's DynUNet, the network of nnU-Net, as a baseline."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.networks import nets

from sa2_monai.networks.checks import check_constructor, check_input
from sa2_monai.networks.variants import check_variant

__all__ = ["DynUNet"]

_LEVELS = 6


class DynUNet(nets.DynUNet):
    """MONAI's DynUNet as nnU-Net configures its 2D network for slices of about 224 x 224.

    Six levels, 3x3 convolutions, instance normalisation, leaky rectifiers, deep supervision of all outputs but the two
    coarsest. Isensee et al.: "nnU-Net: Self-adapting Framework for U-Net-Based Medical Image Segmentation",
    https://arxiv.org/abs/1809.10486.

    MONAI's class keeps its decoder a second time, as nested modules; here that is left out, so that each tensor has one
    name. The names of the others are MONAI's.

    Args:
        spatial_dims: 2.
        in_channels: channels of the image.
        out_channels: output channels: 1 for a sigmoid, the number of classes for a softmax.
        base_channels: width C; the six levels have C, 2C, 4C, 8C, 16C, 16C channels.
        deep_supervision: return four maps in training mode.
        dropout: probability with which a value is dropped behind each convolution, in training mode.
        variant: ``None``; there are none.

    Shape:
        - input ``(B, in_channels, H, W)``, H and W positive multiples of 32; in training 64 at least, as an instance of
          one value has no statistics.
        - evaluation mode: one tensor of logits ``(B, out_channels, H, W)``.
        - training mode with deep supervision: a list of four tensors of that shape, finest decoder level first.

    Raises:
        ValueError: for an argument, a number of channels or a size that the network cannot take.

    Example::

        network = DynUNet(in_channels=3, out_channels=1).eval()
        logits = network(torch.rand(1, 3, 224, 224))  # (1, 1, 224, 224)
    """

    divisor = 32

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        base_channels: int = 32,
        deep_supervision: bool = True,
        dropout: float = 0.0,
        variant: str | None = None,
    ) -> None:
        check_constructor(
            "DynUNet",
            spatial_dims,
            dropout,
            in_channels=in_channels,
            out_channels=out_channels,
            base_channels=base_channels,
        )
        check_variant("dynunet", variant)
        super().__init__(
            spatial_dims,
            in_channels,
            out_channels,
            kernel_size=[3] * _LEVELS,
            strides=[1] + [2] * (_LEVELS - 1),
            upsample_kernel_size=[2] * (_LEVELS - 1),
            filters=[base_channels * min(2**level, 16) for level in range(_LEVELS)],
            dropout=dropout or None,
            deep_supervision=True,  # the heads are there in any case, so that weights fit
            deep_supr_num=_LEVELS - 3,
        )
        del self.skip_layers, self.heads
        self.deep_supervision = deep_supervision

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits of the image ``x``; see the class for shapes."""
        check_input(x, "DynUNet", self.in_channels, 32)
        x = self.input_block(x)  # (B, C, H, W)
        skips = [x]
        for down in self.downsamples:
            x = down(x)
            skips.append(x)
        x = self.bottleneck(x)  # (B, 16 C, H/32, W/32)
        maps: list[torch.Tensor] = []
        for i, up in enumerate(self.upsamples):
            x = up(x, skips[-1 - i])
            maps.append(x)
        logits = self.output_block(x)  # (B, out_channels, H, W)
        if not (self.training and self.deep_supervision):
            return logits
        outputs = [logits]
        for i, head in enumerate(self.deep_supervision_heads):
            outputs.append(F.interpolate(head(maps[-2 - i]), size=logits.shape[-2:], mode="nearest"))
        return outputs
