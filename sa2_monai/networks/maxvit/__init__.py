# SPDX-License-Identifier: Apache-2.0
"""The encoder of MSA2-Net: MaxViT with relative positions from an MLP."""

from sa2_monai.networks.maxvit.encoder import MaxViT
from sa2_monai.networks.maxvit.stochastic_depth import StochasticDepth

__all__ = ["MaxViT", "StochasticDepth"]
