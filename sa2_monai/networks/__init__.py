# SPDX-License-Identifier: Apache-2.0
"""The published networks, each equal to its published code and returning logits.

Importing this package does not import torch; asking for a network does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa2_monai.aliases import lazy_names
from sa2_monai.networks.catalogue import CATALOGUE

if TYPE_CHECKING:
    from sa2_monai.networks.daeformer import DAEFormer
    from sa2_monai.networks.factory import create_network
    from sa2_monai.networks.hsaunet import HSAUNet
    from sa2_monai.networks.msa2net import MSA2Net
    from sa2_monai.networks.sa2net import SA2Net
    from sa2_monai.networks.svanet import SvANet

__all__ = ["CATALOGUE", "DAEFormer", "HSAUNet", "MSA2Net", "SA2Net", "SvANet", "create_network"]

__getattr__ = lazy_names(
    __name__,
    {record.class_name: f"{__name__}.{record.name}" for record in CATALOGUE.values()}
    | {"create_network": f"{__name__}.factory"},
)
