# SPDX-License-Identifier: Apache-2.0
"""Blocks that more than one network uses."""

from sa2_monai.networks.blocks.channel_attention import ChannelAttention
from sa2_monai.networks.blocks.channels_last import ChannelsLastConv, ConvNorm, PointwiseConv
from sa2_monai.networks.blocks.checkpointing import Checkpointed
from sa2_monai.networks.blocks.conv_units import ConvNormReLU, ConvUnit, UpConvUnit, double_conv
from sa2_monai.networks.blocks.cross_attention_skip import ConcatSkip, CrossAttentionSkip
from sa2_monai.networks.blocks.dual_attention import (
    DualAttentionBlock,
    DualAttentionDecoderStage,
    DualAttentionStage,
    SingleAttentionBlock,
)
from sa2_monai.networks.blocks.dual_unet import DualAttentionUNet
from sa2_monai.networks.blocks.efficient_attention import EfficientAttention
from sa2_monai.networks.blocks.feed_forward import MLP, MixFFN
from sa2_monai.networks.blocks.init import init_he_fan_out, init_xavier
from sa2_monai.networks.blocks.large_kernel import LargeKernelBlock
from sa2_monai.networks.blocks.linear import Linear
from sa2_monai.networks.blocks.merged_linear import MergedLinear
from sa2_monai.networks.blocks.norms import ChannelLayerNorm
from sa2_monai.networks.blocks.patch_embed import OverlapPatchEmbed, PatchReduce
from sa2_monai.networks.blocks.patch_expand import PatchExpand, PatchExpandHead
from sa2_monai.networks.blocks.resnet import RESNET_DEPTHS, ResNetEncoder
from sa2_monai.networks.blocks.spatial_gate import SpatialAttentionGate

__all__ = [
    "MLP",
    "RESNET_DEPTHS",
    "ChannelAttention",
    "ChannelLayerNorm",
    "ChannelsLastConv",
    "Checkpointed",
    "ConcatSkip",
    "ConvNorm",
    "ConvNormReLU",
    "ConvUnit",
    "CrossAttentionSkip",
    "DualAttentionBlock",
    "DualAttentionDecoderStage",
    "DualAttentionStage",
    "DualAttentionUNet",
    "EfficientAttention",
    "LargeKernelBlock",
    "Linear",
    "MergedLinear",
    "MixFFN",
    "OverlapPatchEmbed",
    "PatchExpand",
    "PatchExpandHead",
    "PatchReduce",
    "PointwiseConv",
    "ResNetEncoder",
    "SingleAttentionBlock",
    "SpatialAttentionGate",
    "UpConvUnit",
    "double_conv",
    "init_he_fan_out",
    "init_xavier",
]
