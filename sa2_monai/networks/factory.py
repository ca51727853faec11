# SPDX-License-Identifier: Apache-2.0
"""Networks by the names of their bundles."""

from __future__ import annotations

from typing import Any

from torch import nn

from sa2_monai.networks.daeformer import DAEFormer
from sa2_monai.networks.hsaunet import HSAUNet
from sa2_monai.networks.msa2net import MSA2Net
from sa2_monai.networks.sa2net import SA2Net
from sa2_monai.networks.svanet import SvANet

__all__ = ["NETWORKS", "create_network"]

NETWORKS: dict[str, type[nn.Module]] = {
    "daeformer": DAEFormer,
    "hsaunet": HSAUNet,
    "msa2net": MSA2Net,
    "sa2net": SA2Net,
    "svanet": SvANet,
}


def create_network(name: str, *, in_channels: int, out_channels: int, **options: Any) -> nn.Module:
    """Build the network that the bundle ``name`` uses.

    Args:
        name: lower-case name of a bundle, e.g. ``"sa2net"``.
        in_channels: channels of the image.
        out_channels: channels of the logits.
        options: further arguments of the network's class.

    Raises:
        ValueError: for an unknown name, with the list of the known ones.
    """
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(sorted(NETWORKS))}.")
    return NETWORKS[name](spatial_dims=2, in_channels=in_channels, out_channels=out_channels, **options)
