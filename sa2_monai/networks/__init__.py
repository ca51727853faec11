# SPDX-License-Identifier: Apache-2.0
"""The published networks, each equal to its published code and returning logits, and MONAI's as baselines.

Importing this package does not import torch; asking for a network does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa2_monai.aliases import lazy_names
from sa2_monai.networks.catalogue import BASELINES, CATALOGUE

if TYPE_CHECKING:
    from sa2_monai.networks.baselines.dynunet import DynUNet
    from sa2_monai.networks.baselines.segresnet import SegResNet
    from sa2_monai.networks.baselines.unet import UNet
    from sa2_monai.networks.daeformer import DAEFormer
    from sa2_monai.networks.factory import create_network
    from sa2_monai.networks.hsaunet import HSAUNet
    from sa2_monai.networks.msa2net import MSA2Net
    from sa2_monai.networks.precision.choose import choose_precision
    from sa2_monai.networks.sa2net import SA2Net
    from sa2_monai.networks.svanet import SvANet

__all__ = ["BASELINES", "CATALOGUE", "DAEFormer", "DynUNet", "HSAUNet", "MSA2Net", "SA2Net", "SegResNet", "SvANet"]
__all__ += ["UNet", "choose_precision", "create_network"]

__getattr__ = lazy_names(
    __name__,
    {record.class_name: f"{__name__}.{record.name}" for record in CATALOGUE.values()}
    | {record.class_name: f"{__name__}.baselines.{record.name}" for record in BASELINES.values()}
    | {"choose_precision": f"{__name__}.precision.choose", "create_network": f"{__name__}.factory"},
)
