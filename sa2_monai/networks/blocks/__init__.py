# SPDX-License-Identifier: Apache-2.0
"""Blocks that more than one network uses."""

from sa2_monai.networks.blocks.convolutions import ConvNormReLU, double_conv
from sa2_monai.networks.blocks.norms import ChannelLayerNorm

__all__ = ["ChannelLayerNorm", "ConvNormReLU", "double_conv"]
