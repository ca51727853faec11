# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints of all networks without their size: names and shapes of the golden files.

Why: the converters are tested against every published tensor, and no published weights may be committed.
"""

from __future__ import annotations

from typing import Any

import torch

from sa2_monai.networks.blocks import MergedLinear
from sa2_monai.weights.compare import CONVERTERS
from tests.networks.base_tester import golden

State = dict[str, torch.Tensor]

# Golden file -> network and what its checkpoint tells about it.
GOLDENS: dict[str, tuple[str, dict[str, Any]]] = {
    "daeformer": ("daeformer", {"in_channels": 3, "out_channels": 9}),
    "hsaunet": ("hsaunet", {"in_channels": 3, "out_channels": 2}),
    "msa2net": ("msa2net", {"in_channels": 3, "out_channels": 9, "deep_level": "dual"}),
    "msa2net_released": ("msa2net", {"in_channels": 3, "out_channels": 9, "deep_level": "lka"}),
    "sa2net": ("sa2net", {"in_channels": 3, "out_channels": 1, "base_channels": 64}),
    "svanet": ("svanet", {"in_channels": 3, "out_channels": 2, "base_channels": 64}),
}


def tensor_list(name: str) -> list[tuple[str, list[int], str]]:
    """Name, shape and use ("live" or "dead") of each tensor."""
    return golden(name)[0]["tensors"]


def names_and_shapes(name: str, live_only: bool = False) -> State:
    """Tensors on the meta device: no memory, no values."""
    tensors = tensor_list(name)
    return {n: torch.empty(s, device="meta") for n, s, use in tensors if use == "live" or not live_only}


def published_from(network: torch.nn.Module, name: str) -> State:
    """The published checkpoint that would become the weights of ``network``, narrow as it may be; dead tensors are 1s.

    Args:
        network: instance of the network of the golden file, with its blocks but any widths.
        name: the golden file.
    """
    converter = CONVERTERS[GOLDENS[name][0]]
    rank = {n: len(s) for n, s, _ in tensor_list(name)}
    found: State = {n: torch.ones(1) for n, _, use in tensor_list(name) if use == "dead"}
    for ours, value in network.state_dict().items():
        theirs = converter.ours_to_published(ours)
        theirs = [theirs] if isinstance(theirs, str) else theirs
        module = network.get_submodule(ours.rpartition(".")[0])
        sizes = module.parts if isinstance(module, MergedLinear) else [value.shape[0]] if value.ndim else []
        parts = value.split(sizes) if len(sizes) > 1 else [value]
        for n, part in zip(theirs, parts, strict=True):
            found[n] = part.reshape([*part.shape, *[1] * (rank[n] - part.ndim)])
    return found
