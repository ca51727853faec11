# SPDX-License-Identifier: Apache-2.0
"""Networks by their names."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from sa2_monai.networks.catalogue import Network, network_names, network_record

__all__ = ["create_network", "network_class", "record_of"]


def network_class(name: str) -> type[nn.Module]:
    """The class of a network.

    Args:
        name: lower-case name, e.g. ``"sa2net"`` or ``"unet"``.

    Raises:
        ValueError: for an unknown name, with the list of the known ones.
    """
    class_name = network_record(name).class_name
    found: type[nn.Module] = getattr(importlib.import_module("sa2_monai.networks"), class_name)
    return found


def create_network(name: str, *, in_channels: int, out_channels: int, **options: Any) -> nn.Module:
    """Build a network.

    Args:
        name: lower-case name, e.g. ``"sa2net"`` or ``"unet"``.
        in_channels: channels of the image.
        out_channels: channels of the logits.
        options: further arguments of the network's class.

    Raises:
        ValueError: for an unknown name, with the list of the known ones.
    """
    return network_class(name)(spatial_dims=2, in_channels=in_channels, out_channels=out_channels, **options)


def record_of(network: nn.Module) -> Network | None:
    """The record of a network, not wrapped; ``None`` when it is none of this package."""
    return next((network_record(name) for name in network_names() if isinstance(network, network_class(name))), None)
