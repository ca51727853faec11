# SPDX-License-Identifier: Apache-2.0
"""Whether a network can look through the window that its weights ask for, before anything is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sa2_monai.networks.catalogue import network_names, network_record

__all__ = ["check_window"]

# What checks a size; the first one in bundles of earlier versions.
_CHECKS = ("sa2_monai.inference.check_roi_size", "sa2_monai.slices.SliceView")


def check_window(config: Mapping[str, Any], settings: Mapping[str, Any], network: str) -> None:
    """Check the size of the window as the bundle's configuration does.

    The configuration knows of what the size has to be a multiple, for the network as it is configured; a bundle that
    does not say it is checked by the published network.

    Args:
        config: content of the bundle's inference configuration.
        settings: those of the weights.
        network: name of the network.

    Raises:
        ValueError: for another size; the message gives the nearest legal one.
    """
    from monai.bundle import ConfigParser

    from sa2_monai.slices import check_roi_size

    if settings.get("roi_size") is None:
        return
    merged = {**config, **settings}
    parser = ConfigParser(merged)
    divisors = [parser.get_parsed_content(f"{name}::divisor") for name in _components(merged)]
    for divisor in divisors or [network_record(network).size_divisor if network in network_names() else 1]:
        check_roi_size(settings["roi_size"], divisor)


def _components(config: Any, where: str = "") -> Iterator[str]:
    """Ids of the checks in a configuration."""
    if isinstance(config, Mapping):
        if config.get("_target_") in _CHECKS and "divisor" in config:
            yield where
        for key, value in config.items():
            yield from _components(value, f"{where}::{key}" if where else str(key))
