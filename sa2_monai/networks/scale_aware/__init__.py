# SPDX-License-Identifier: Apache-2.0
"""The parts of SA2-Net: attention over scales and in the decoder, and what its variants have instead."""

from sa2_monai.networks.scale_aware.attention import ConvMLP, LocalScaleAttention, ScaleAwareAttention
from sa2_monai.networks.scale_aware.plain import (
    GlobalScaleAttention,
    LocalScalesAlone,
    PlainSkips,
    StandardConvolutions,
)
from sa2_monai.networks.scale_aware.up_attention import AdaptiveUpAttention

__all__ = [
    "AdaptiveUpAttention",
    "ConvMLP",
    "GlobalScaleAttention",
    "LocalScaleAttention",
    "LocalScalesAlone",
    "PlainSkips",
    "ScaleAwareAttention",
    "StandardConvolutions",
]
