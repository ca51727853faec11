# SPDX-License-Identifier: Apache-2.0
"""Names of networks and their variants: ``sa2net``, ``sa2net:plain_skips``."""

from __future__ import annotations

from sa2_monai.networks.catalogue import network_record

__all__ = ["check_variant", "named", "parse_network"]


def parse_network(name: str) -> tuple[str, str | None]:
    """Network and variant that a name means.

    Args:
        name: ``"sa2net"``, or ``"sa2net:plain_skips"``.

    Returns:
        The name of the network and that of the variant; ``None`` for the network as published.

    Raises:
        ValueError: for an unknown network or variant, with the list of the known ones.
    """
    network, colon, variant = name.partition(":")
    network_record(network)
    if not colon:
        return network, None
    check_variant(network, variant)
    return network, variant


def named(network: str, variant: str | None) -> str:
    """The name that :func:`parse_network` takes apart."""
    return network if variant is None else f"{network}:{variant}"


def check_variant(network: str, variant: str | None) -> None:
    """Refuse a variant that a network does not have.

    Args:
        network: its lower-case name.
        variant: of it; ``None`` is the network as published.

    Raises:
        ValueError: naming the variants that there are.
    """
    known = network_record(network).variants
    if variant is not None and variant not in known:
        have = f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(f"{network} has no variant {variant!r}; {have}.")
