# SPDX-License-Identifier: Apache-2.0
"""What the weights that a training starts from decide: the network and its width."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from sa2_monai.bundle.sidecar import known_network
from sa2_monai.networks.catalogue import network_record
from sa2_monai.weights import read_info
from sa2_monai.weights.weight_files import open_weights

__all__ = ["Start", "start_of"]


class Start(NamedTuple):
    """Network of the weights, and the values of its constructor, by id of the configuration."""

    network: str | None
    options: dict[str, Any]


def start_of(pretrained: Any) -> Start:
    """What stands beside the weights; nothing where there are none, or where they say nothing, as published ones.

    Args:
        pretrained: value of the switch: weight file, run, bundle or zip file; ``None`` without weights.

    Raises:
        FileNotFoundError: a folder or zip file without weights.
        ValueError: a damaged zip file or sidecar.
    """
    if not isinstance(pretrained, str) or not Path(pretrained).exists():
        return Start(None, {})
    with open_weights(pretrained) as file:
        info = read_info(file)
    network = known_network(info.get("network"), Path(pretrained))
    if network is None:
        return Start(None, {})
    options = network_record(network).options
    return Start(network, {name: info[name] for name in options if info.get(name) is not None})
