# SPDX-License-Identifier: Apache-2.0
"""The published networks, each equal to its published code and returning logits."""

from sa2_monai.networks.daeformer import DAEFormer
from sa2_monai.networks.factory import NETWORKS, create_network
from sa2_monai.networks.hsaunet import HSAUNet
from sa2_monai.networks.msa2net import MSA2Net
from sa2_monai.networks.sa2net import SA2Net
from sa2_monai.networks.svanet import SvANet

__all__ = ["NETWORKS", "DAEFormer", "HSAUNet", "MSA2Net", "SA2Net", "SvANet", "create_network"]
