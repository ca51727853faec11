# SPDX-License-Identifier: Apache-2.0
"""Which network, where the user names none."""

from __future__ import annotations

from sa2_monai.networks.catalogue import network_names

__all__ = ["choose_network"]

_OF_KIND = {
    "images": ("sa2net", "made for microscopy, and convolutional, so that it learns from scratch on few images"),
    "volumes": ("daeformer", "made for slices of abdominal CT, the smallest of the three transformers"),
    "preprocessed": ("daeformer", "made for the preprocessed slices of the literature"),
}


def choose_network(kind: str, wanted: str | None, published: list[str]) -> tuple[str, str]:
    """Name of a network and why.

    Args:
        kind: of the files.
        wanted: name that the user gave.
        published: networks that have a published protocol for the data set; empty for data of one's own.

    Raises:
        ValueError: there is no such network.
    """
    if wanted is not None:
        if wanted not in network_names():
            raise ValueError(f"network is {wanted!r}, expected one of {', '.join(network_names())}")
        return wanted, "chosen by you"
    name, reason = _OF_KIND[kind]
    if published and name not in published:
        return published[0], "published for this data set"
    return name, f"for {kind}: {reason}"
