# SPDX-License-Identifier: Apache-2.0
"""Weights to fine-tune from must be of the same network, but for classes and channels: the check, and its answers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from sa2_monai.networks.catalogue import Network
from sa2_monai.networks.factory import network_class
from sa2_monai.weights.compare import CONVERTERS, check_finite, check_state_dict
from sa2_monai.weights.load import read_weights
from sa2_monai.weights.published.convert import convert_published
from sa2_monai.weights.state import plain
from sa2_monai.weights.weight_files import open_weights

__all__ = ["Origin", "check_same_network", "read_origin", "with_own_names"]

#: Arguments of the constructor on which no width and no name of a tensor depends, but for the head and first layer.
_FREE_OPTIONS = ("in_channels", "out_channels", "img_size", "window_size")


@dataclass(frozen=True)
class Origin:
    """Weights that a training shall start from.

    Attributes:
        source: path as it was given, for messages.
        tensors: by name.
        info: sidecar; empty when there is none.
    """

    source: str
    tensors: dict[str, torch.Tensor]
    info: Mapping[str, Any]


def read_origin(path: str | os.PathLike[str]) -> Origin:
    """Read a weight file, or that of a run or bundle.

    Raises:
        FileNotFoundError, OSError, ValueError: see :func:`sa2_monai.weights.transfer_weights`.
    """
    with open_weights(path) as file:
        return Origin(str(path), *read_weights(file))


def with_own_names(origin: Origin, record: Network, expected: Mapping[str, Any]) -> Origin:
    """The weights under our names; those of a published checkpoint are converted.

    Args:
        origin: the weights.
        record: of the network that shall take them.
        expected: settings of the training.

    Raises:
        ValueError: for weights of another network, and for a published checkpoint of which not every tensor is known.
    """
    ours = next((name for name, one in CONVERTERS.items() if one.describe(origin.tensors)), None)
    theirs = next((name for name, one in CONVERTERS.items() if one.describe_published(origin.tensors)), None)
    owner = origin.info.get("network") or ours or theirs
    if owner not in (None, record.name):
        raise ValueError(
            f"{origin.source} is a checkpoint of another network ({owner}), this training is of {record.name}. Give "
            f"weights of {record.name}, or train {owner}."
        )
    if ours or not theirs:
        return origin
    told = CONVERTERS[record.name].describe_published(origin.tensors)
    options = {key: expected[key] for key in record.options if key in expected and key not in told}
    try:
        return replace(origin, tensors=convert_published(record.name, origin.tensors, **options))
    except ValueError as error:
        published = network_class(record.name).__init__.__kwdefaults__ or {}
        if differing := _differing(record.options, published, options):
            raise _misfit(record, origin.source, differing) from error
        raise ValueError(
            f"{origin.source} looks like a published {record.name} checkpoint, but not every tensor of it is known. "
            f"For the list: sa2-monai import-weights --network {record.name} {origin.source} OUT.pt"
        ) from error


def check_same_network(
    origin: Origin, network: nn.Module, record: Network, expected: Mapping[str, Any], head: Iterable[str]
) -> None:
    """Refuse weights that differ from the network in more than classes and channels, or are not finite.

    Args:
        origin: the weights, with our names.
        network: shall take them; not wrapped.
        record: of it.
        expected: settings of the training.
        head: names of the tensors that may be for other classes.

    Raises:
        ValueError: with the switch to set, where the weights say which.
    """
    own, tensors = network.state_dict(), origin.tensors
    # Axes of the classes, which transposed convolutions have second, and of the channels.
    free = {**dict.fromkeys(head, (0, 1)), **dict.fromkeys(record.first_layers, (1,))}
    same_names = set(tensors) == set(own)
    wrong = [
        name
        for name in own
        if same_names and _shape(tensors[name], free.get(name, ())) != _shape(own[name], free.get(name, ()))
    ]
    if wrong or not same_names:
        converter = CONVERTERS.get(record.name)  # baselines have none
        told, here = ({} if converter is None else converter.describe(one) for one in (tensors, own))
        if differing := {**_differing(told, told, here), **_differing(record.options, origin.info, expected)}:
            raise _misfit(record, origin.source, differing)
    if wrong:
        first = wrong[0]
        raise ValueError(
            f"{origin.source} does not fit this {record.class_name}: {len(wrong)} tensors have other widths, e.g. "
            f"{first} is {list(tensors[first].shape)}, here {list(own[first].shape)}. Build the network with the "
            "widths of the weights, or use other weights: only classes and channels may differ."
        )
    if not same_names:
        check_state_dict(network, tensors, origin.source)
    check_finite(tensors, origin.source)


def _shape(tensor: torch.Tensor, free: tuple[int, ...]) -> list[int]:
    """The shape without the axes that may differ."""
    return [size for axis, size in enumerate(tensor.shape) if axis not in free]


def _differing(names: Iterable[str], theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Options that both sides state otherwise."""
    both = [name for name in names if name in theirs and name in ours and name not in _FREE_OPTIONS]
    pairs = {name: (_listed(theirs[name]), _listed(ours[name])) for name in both}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _listed(value: Any) -> Any:
    value = plain(value)
    return list(value) if isinstance(value, tuple) else value


def _misfit(record: Network, source: str, differing: Mapping[str, tuple[Any, Any]]) -> ValueError:
    facts = "; ".join(f"{name} is {theirs} in the weights, {ours} here" for name, (theirs, ours) in differing.items())
    switches = ", ".join(f"{name} to {theirs}" for name, (theirs, _) in differing.items())
    return ValueError(
        f"{source} does not fit this {record.class_name}: {facts}. Set {switches}, or use other weights: only classes "
        "and channels may differ."
    )
