# SPDX-License-Identifier: Apache-2.0
"""The parts of SvANet, which look at several scales at once."""

from sa2_monai.networks.scale_variant.aspp import ASPP
from sa2_monai.networks.scale_variant.assemble_former import AssembleFormer
from sa2_monai.networks.scale_variant.guidance import CrossScaleGuidance, GuidancePath, ScaleVariantAttention
from sa2_monai.networks.scale_variant.monte_carlo import MonteCarloBottleneck, MonteCarloGate
from sa2_monai.networks.scale_variant.plain import NoDecoder, NoGuidance, OpenGate, OpenPath, SourceGate

__all__ = [
    "ASPP",
    "AssembleFormer",
    "CrossScaleGuidance",
    "GuidancePath",
    "MonteCarloBottleneck",
    "MonteCarloGate",
    "NoDecoder",
    "NoGuidance",
    "OpenGate",
    "OpenPath",
    "ScaleVariantAttention",
    "SourceGate",
]
