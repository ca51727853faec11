# SPDX-License-Identifier: Apache-2.0
"""MONAI's SegResNet as a baseline."""

from __future__ import annotations

import torch
from monai.networks import nets

from sa2_monai.networks.checks import check_constructor, check_divides, check_input
from sa2_monai.networks.variants import check_variant

__all__ = ["SegResNet"]

_GROUPS = 8


class SegResNet(nets.SegResNet):
    """MONAI's SegResNet with the published width and depth, in two dimensions and without the autoencoder.

    Myronenko: "3D MRI brain tumor segmentation using autoencoder regularization", BrainLes 2018,
    https://arxiv.org/abs/1810.11654.

    Args:
        spatial_dims: 2.
        in_channels: channels of the image.
        out_channels: output channels: 1 for a sigmoid, the number of classes for a softmax.
        base_channels: width C, a multiple of 8, as there are 8 groups in a normalisation; the four levels have C, 2C,
            4C, 8C channels.
        deep_supervision: has no effect: there is one output.
        dropout: probability with which a value is dropped behind the first convolution, in training mode.
        variant: ``None``; there are none.

    Shape:
        - input ``(B, in_channels, H, W)``, H and W positive multiples of 8.
        - output ``(B, out_channels, H, W)``, logits, in both modes.

    Raises:
        ValueError: for an argument, a number of channels or a size that the network cannot take.

    Example::

        network = SegResNet(in_channels=3, out_channels=1).eval()
        logits = network(torch.rand(1, 3, 224, 224))  # (1, 1, 224, 224)
    """

    divisor = 8

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
            "SegResNet",
            spatial_dims,
            dropout,
            in_channels=in_channels,
            out_channels=out_channels,
            base_channels=base_channels,
        )
        check_divides("SegResNet", "the number of groups", _GROUPS, base_channels, "base_channels")
        check_variant("segresnet", variant)
        super().__init__(
            spatial_dims,
            base_channels,
            in_channels,
            out_channels,
            dropout_prob=dropout or None,
            norm=("group", {"num_groups": _GROUPS}),
            blocks_down=(1, 2, 2, 4),
            blocks_up=(1, 1, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the image ``x``; see the class for shapes."""
        check_input(x, "SegResNet", self.in_channels, 8)
        x, maps = self.encode(x)
        maps.reverse()
        return self.decode(x, maps)
