# SPDX-License-Identifier: Apache-2.0
"""MONAI's U-Net as a baseline."""

from __future__ import annotations

import torch
from monai.networks import nets

from sa2_monai.networks.checks import check_constructor, check_input
from sa2_monai.networks.variants import check_variant

__all__ = ["UNet"]


class UNet(nets.UNet):
    """MONAI's U-Net with residual units and batch normalisation, as its tutorials build it, in two dimensions.

    Kerfoot, Clough, Oksuz, Lee, King, Schnabel: "Left-Ventricle Quantification Using Residual U-Net", STACOM 2018.

    Args:
        spatial_dims: 2.
        in_channels: channels of the image.
        out_channels: output channels: 1 for a sigmoid, the number of classes for a softmax.
        base_channels: width C; the five levels have C, 2C, 4C, 8C, 16C channels.
        deep_supervision: has no effect: there is one output.
        dropout: probability with which a value is dropped behind each convolution, in training mode.
        variant: ``None``; there are none.

    Shape:
        - input ``(B, in_channels, H, W)``, H and W positive multiples of 16.
        - output ``(B, out_channels, H, W)``, logits, in both modes.

    Raises:
        ValueError: for an argument, a number of channels or a size that the network cannot take.

    Example::

        network = UNet(in_channels=3, out_channels=1).eval()
        logits = network(torch.rand(1, 3, 224, 224))  # (1, 1, 224, 224)
    """

    divisor = 16

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        base_channels: int = 32,
        deep_supervision: bool = False,
        dropout: float = 0.0,
        variant: str | None = None,
    ) -> None:
        check_constructor(
            "UNet",
            spatial_dims,
            dropout,
            in_channels=in_channels,
            out_channels=out_channels,
            base_channels=base_channels,
        )
        check_variant("unet", variant)
        super().__init__(
            spatial_dims,
            in_channels,
            out_channels,
            channels=[base_channels * 2**level for level in range(5)],
            strides=[2, 2, 2, 2],
            num_res_units=2,
            norm="batch",
            dropout=dropout,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the image ``x``; see the class for shapes."""
        check_input(x, "UNet", self.in_channels, 16)
        return self.model(x)
