# SPDX-License-Identifier: Apache-2.0
"""Blocks that more than one network uses."""

from sa2_monai.networks.blocks.assemble_former import AssembleFormer
from sa2_monai.networks.blocks.batching import in_parts
from sa2_monai.networks.blocks.channel_attention import ChannelAttention
from sa2_monai.networks.blocks.checkpointing import checkpointed
from sa2_monai.networks.blocks.convolutions import ConvNormReLU, double_conv
from sa2_monai.networks.blocks.cross_attention_skip import CrossAttentionSkip
from sa2_monai.networks.blocks.dual_attention import DualAttentionBlock, DualAttentionDecoderStage, DualAttentionStage
from sa2_monai.networks.blocks.dual_unet import DualAttentionUNet
from sa2_monai.networks.blocks.efficient_attention import EfficientAttention
from sa2_monai.networks.blocks.folding import ConvNorm, PointwiseConv
from sa2_monai.networks.blocks.init import init_he_fan_out, init_xavier
from sa2_monai.networks.blocks.large_kernel import LargeKernelBlock
from sa2_monai.networks.blocks.linear import MergedLinear
from sa2_monai.networks.blocks.mix_ffn import MixFFN
from sa2_monai.networks.blocks.mlp import MLP
from sa2_monai.networks.blocks.norms import ChannelLayerNorm, norm_affine
from sa2_monai.networks.blocks.patch_embed import OverlapPatchEmbed, PatchReduce
from sa2_monai.networks.blocks.patch_expand import PatchExpand, PatchExpandHead
from sa2_monai.networks.blocks.pooling import pooling_matrix, weighted_sum
from sa2_monai.networks.blocks.resnet import RESNET_DEPTHS, ResNetEncoder
from sa2_monai.networks.blocks.spatial_gate import SpatialAttentionGate
from sa2_monai.networks.blocks.stochastic_depth import StochasticDepth
from sa2_monai.networks.blocks.units import ConvUnit, UpConvUnit

__all__ = [
    "MLP",
    "RESNET_DEPTHS",
    "AssembleFormer",
    "ChannelAttention",
    "ChannelLayerNorm",
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
    "MergedLinear",
    "MixFFN",
    "OverlapPatchEmbed",
    "PatchExpand",
    "PatchExpandHead",
    "PatchReduce",
    "PointwiseConv",
    "ResNetEncoder",
    "SpatialAttentionGate",
    "StochasticDepth",
    "UpConvUnit",
    "checkpointed",
    "double_conv",
    "in_parts",
    "init_he_fan_out",
    "init_xavier",
    "norm_affine",
    "pooling_matrix",
    "weighted_sum",
]
