# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning: weights of a trained network into one for other classes or channels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sa2_monai.networks.factory import record_of
from sa2_monai.networks.stages import head_of
from sa2_monai.weights.compare import check_state_dict, differing_settings
from sa2_monai.weights.first_layer import adapt_channels
from sa2_monai.weights.same_network import check_same_network, read_origin, with_own_names
from sa2_monai.weights.state import unwrap

__all__ = ["Transfer", "transfer_weights"]

#: Grey and colour images. Kernels for other channels, such as the sequences of an MR, mean nothing to others.
_ADAPTABLE = (1, 3)
_MAY_DIFFER = ("in_channels", "out_channels", "class_names")


@dataclass(frozen=True)
class Transfer:
    """What became of the tensors of a network that started from weights.

    Attributes:
        loaded: names of the tensors that were loaded, an adapted first layer included.
        new: names of those that are as the network was built.
        remarks: what is new or adapted and why, in words.
        info: sidecar of the weights; empty when there is none.
        differing: settings that the weights were trained with otherwise: name, value there, value here.
    """

    loaded: list[str]
    new: list[str]
    remarks: list[str]
    info: Mapping[str, Any]
    differing: list[tuple[str, Any, Any]]


def transfer_weights(
    network: nn.Module, path: str | os.PathLike[str], expected: Mapping[str, Any] | None = None
) -> Transfer:
    """Load into a network what fits of the weights of the same network for other classes or channels.

    - All tensors must have the names and shapes of the network's, but for the head (with the heads of deep
      supervision), which may be for other classes, and the first layer, which may be for other channels.
    - The head stays new when its shape is another, and when the sidecar names other classes than ``expected``.
    - A first layer for grey or colour images is adapted to other channels (:func:`~sa2_monai.weights.adapt_channels`);
      one for other channels stays new.

    A network that is none of the catalogue takes weights that fit entirely.

    Args:
        network: takes the weights; may be wrapped by ``DistributedDataParallel`` or ``torch.compile``.
        path: weight file of this package, or published checkpoint of the network; or a run or bundle with weights, its
            folder or its zip file.
        expected: settings of the training, as in the sidecar that it writes.

    Returns:
        What was loaded and what not.

    Raises:
        FileNotFoundError: when there is no such file, or a folder has no weights.
        OSError: when it cannot be read.
        ValueError: when the file is no checkpoint or is damaged or altered, is of another network or of one with other
            widths or parts, or has values that are not finite; nothing is loaded then.
    """
    network, expected = unwrap(network), expected or {}
    origin, record = read_origin(path), record_of(network)
    if record is None:
        check_state_dict(network, origin.tensors, origin.source)
        network.load_state_dict(origin.tensors)
        return Transfer(list(origin.tensors), [], [], origin.info, differing_settings(origin.info, expected))
    head = head_of(network)
    origin = with_own_names(origin, record, expected)
    check_same_network(origin, network, record, expected, head)

    own, tensors, remarks = network.state_dict(), dict(origin.tensors), []
    if reason := _other_classes(head, tensors, own, origin.info, expected):
        remarks.append(f"the head is new ({reason})")
        tensors = {name: value for name, value in tensors.items() if name not in head}
    for first in record.first_layers:
        before, after = tensors[first].shape[1], own[first].shape[1]
        if before != after and before in _ADAPTABLE:
            how = "their sum" if after == 1 else f"repeated in turn, times {before}/{after}"
            remarks.append(f"the kernels of {first} are adapted from {before} to {after} channels ({how})")
            tensors[first] = adapt_channels(tensors[first], after)
        elif before != after:
            remarks.append(
                f"{first} is new ({after} channels instead of {before}, which were neither grey nor colours)"
            )
            del tensors[first]
    network.load_state_dict(tensors, strict=False)
    new = [name for name in own if name not in tensors]
    told = [one for one in differing_settings(origin.info, expected) if one[0] not in _MAY_DIFFER]
    return Transfer([name for name in own if name in tensors], new, remarks, origin.info, told)


def _other_classes(
    head: list[str],
    tensors: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
    info: Mapping[str, Any],
    expected: Mapping[str, Any],
) -> str | None:
    """Why the head of the weights is for other classes; ``None`` when it is not."""
    if any(tensors[name].shape != own[name].shape for name in head):
        return f"{len(own[head[-1]])} instead of {len(tensors[head[-1]])} outputs"
    theirs, ours = info.get("class_names"), expected.get("class_names")
    if theirs and ours and list(theirs) != list(ours):
        return f"for {', '.join(map(str, ours))} instead of {', '.join(map(str, theirs))}"
    return None
