# SPDX-License-Identifier: Apache-2.0
"""MONAI's ResNet as an encoder of five maps."""

from __future__ import annotations

import torch
from monai.networks.nets.resnet import ResNet, ResNetBottleneck
from torch import nn

__all__ = ["RESNET_DEPTHS", "ResNetEncoder"]

RESNET_DEPTHS = {
    "resnet14": (1, 1, 1, 1),
    "resnet26": (2, 2, 2, 2),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
"""Bottlenecks per layer, by name."""


class ResNetEncoder(ResNet):
    """ResNet with bottlenecks, stride in the 3x3 convolution ("v1.5"), without its classifier.

    Layers, names and shapes are those of torchvision, whose checkpoints it loads without ``fc.*``
    (:func:`sa2_monai.weights.load_encoder`).

    Args:
        name: one of :data:`RESNET_DEPTHS`.
        in_channels: channels of the image.
        base_channels: width C of the stem; published: 64.
        norm_eps: epsilon of all normalisations.

    Shape:
        ``(B, in_channels, H, W)`` -> maps of C, 4C, 8C, 16C, 32C channels at 1/2, 1/4, 1/8, 1/16, 1/32.

    Raises:
        ValueError: for an unknown name.
    """

    def __init__(self, name: str, in_channels: int, base_channels: int = 64, norm_eps: float = 1e-5) -> None:
        if name not in RESNET_DEPTHS:
            raise ValueError(f"ResNetEncoder: encoder must be one of {', '.join(RESNET_DEPTHS)}, got {name!r}.")
        super().__init__(
            ResNetBottleneck,
            layers=list(RESNET_DEPTHS[name]),
            block_inplanes=[base_channels * 2**k for k in range(4)],
            spatial_dims=2,
            n_input_channels=in_channels,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        self.name = name
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = norm_eps  # MONAI would hand an epsilon to the stem only
            elif isinstance(module, nn.Conv2d):
                module.reset_parameters()  # PyTorch's own initialisation, as published

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Five maps of the image ``x``, finest first."""
        e1 = self.act(self.bn1(self.conv1(x)))
        e2 = self.layer1(self.maxpool(e1))
        e3 = self.layer2(e2)
        e4 = self.layer3(e3)
        return [e1, e2, e3, e4, self.layer4(e4)]
