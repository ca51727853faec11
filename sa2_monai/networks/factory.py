# SPDX-License-Identifier: Apache-2.0
"""Networks by the names of their bundles."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from sa2_monai.networks.catalogue import CATALOGUE, Network

__all__ = ["create_network", "network_class", "record_of"]


def network_class(name: str) -> type[nn.Module]:
    """The class of a network.

    Args:
        name: lower-case name of a bundle, e.g. ``"sa2net"``.

    Raises:
        ValueError: for an unknown name, with the list of the known ones.
    """
    if name not in CATALOGUE:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(sorted(CATALOGUE))}.")
    found: type[nn.Module] = getattr(importlib.import_module("sa2_monai.networks"), CATALOGUE[name].class_name)
    return found


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
    return network_class(name)(spatial_dims=2, in_channels=in_channels, out_channels=out_channels, **options)


def record_of(network: nn.Module) -> Network | None:
    """The record of a network, not wrapped; ``None`` when it is none of the catalogue."""
    return next((record for name, record in CATALOGUE.items() if isinstance(network, network_class(name))), None)
