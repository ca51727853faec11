# SPDX-License-Identifier: Apache-2.0
"""Published protocols: the overlay of a public data set, in its network's bundle."""

from __future__ import annotations

from pathlib import Path

from sa2_monai.bundle.locate import dataset_overlays, find_bundle, load_one
from sa2_monai.bundle.planning.plan import Choice
from sa2_monai.data.datasets import DATASETS
from sa2_monai.networks.catalogue import CATALOGUE, network_record

__all__ = ["networks_of", "protocol"]

_OWN = ("folder", "decathlon", "volumes")


def networks_of(dataset: str) -> list[str]:
    """Networks whose bundle has the protocol of a public data set; none for data of one's own.

    Args:
        dataset: registry name.
    """
    return [name for name in CATALOGUE if _overlay(name, dataset) is not None]


def protocol(network: str, dataset: str) -> dict[str, Choice]:
    """Values of the published protocol by switch; empty where the network has none for the data set.

    Args:
        network: its name.
        dataset: registry name.
    """
    overlay = _overlay(network, dataset)
    if overlay is None:
        return {}
    title = DATASETS[dataset].title.split(":")[0].split(",")[0] or dataset
    reason = f"published for {title} ({overlay.name} of the bundle)"
    return {name: Choice(value, reason) for name, value in load_one(overlay).items()}


def _overlay(network: str, dataset: str) -> Path | None:
    if dataset in _OWN or network_record(network).host is not None:
        return None
    overlays = dataset_overlays(find_bundle(network))
    if dataset in overlays:
        return overlays[dataset]
    return next((file for file in overlays.values() if load_one(file)["layout"] == dataset), None)
