# SPDX-License-Identifier: Apache-2.0
"""The published networks, each equal to its published code and returning logits."""

from sa2_monai.networks.factory import NETWORKS, create_network
from sa2_monai.networks.sa2net import SA2Net

__all__ = ["NETWORKS", "SA2Net", "create_network"]
