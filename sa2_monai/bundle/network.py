# SPDX-License-Identifier: Apache-2.0
"""The network of a bundle, from its configuration and its weights."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from torch import nn

from sa2_monai.io.limits.aliases import checked_config
from sa2_monai.networks.accelerate import accelerate
from sa2_monai.weights import load_weights

__all__ = ["build_network", "metadata_of", "ready_network", "resolve"]


def build_network(config: Mapping[str, Any], weights: str | os.PathLike[str]) -> nn.Module:
    """Build ``network_def`` on the CPU and load weights into it, all tensors or none.

    Args:
        config: content of ``inference.yaml``, merged, with the settings of the weights.
        weights: the weight file.

    Returns:
        The network in evaluation mode.

    Raises:
        FileNotFoundError, OSError, ValueError: as :func:`sa2_monai.weights.load_weights`.
    """
    parser = ConfigParser(copy.deepcopy(dict(config)))
    network: nn.Module = parser.get_parsed_content("network_def")
    expected = parser.get_parsed_content("model_info") if "model_info" in config else None
    load_weights(network, weights, expected)
    return network.eval()


def ready_network(config: Mapping[str, Any], weights: str | os.PathLike[str], device: str) -> nn.Module:
    """The network as it predicts: with its weights, on a device, in its fast form; to be used for many predictions.

    Args:
        config: see :func:`build_network`, which says what is raised, too.
        weights: see there.
        device: such as ``"cuda:0"``.
    """
    return accelerate(build_network(config, weights).to(device))


def resolve(config: Mapping[str, Any], *ids: str) -> list[Any]:
    """Values of ids as the bundle sees them; ``None`` for those that are not there.

    Args:
        config: content of a configuration file.
        ids: top-level ids that hold plain values or expressions of such.
    """
    parser = ConfigParser(copy.deepcopy(dict(config)))
    return [parser.get_parsed_content(name) if name in config else None for name in ids]


def metadata_of(folder: Path) -> dict[str, Any]:
    """Content of ``configs/metadata.json``; empty when there is none.

    Args:
        folder: folder of the bundle.
    """
    file = folder / "configs" / "metadata.json"
    if not file.is_file():
        return {}
    with checked_config(file):
        return dict(ConfigParser.load_config_file(file))
