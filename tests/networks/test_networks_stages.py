# SPDX-License-Identifier: Apache-2.0
"""Stages of the networks: head, first layer and what lies between are what they are said to be."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE, Network, network_names, network_record
from sa2_monai.networks.stages import head_of, stages_of

each_network = pytest.mark.parametrize("record", [*map(network_record, network_names())], ids=network_names())


def build(record: Network, in_channels: int = 3, out_channels: int = 2) -> torch.nn.Module:
    with torch.device("meta"):  # names and shapes only
        return create_network(record.name, in_channels=in_channels, out_channels=out_channels)


def differing(first: torch.nn.Module, second: torch.nn.Module) -> set[str]:
    """Names of the tensors whose shapes differ, buffers included."""
    a, b = first.state_dict(), second.state_dict()
    assert list(a) == list(b)
    return {name for name in a if a[name].shape != b[name].shape}


@each_network
def test_every_parameter_belongs_to_one_stage(record: Network) -> None:
    network = build(record)
    stages = stages_of(network)
    assert len(stages) == len(record.stages) > 5
    assert all(stages)
    assert Counter(name for names in stages for name in names) == Counter(n for n, _ in network.named_parameters())
    modules = {name for name, _ in network.named_modules()}
    assert {module for stage in record.stages for module in stage} <= modules


@each_network
def test_the_head_is_what_depends_on_the_classes(record: Network) -> None:
    network = build(record)
    changed = differing(network, build(record, out_channels=5))
    assert {*stages_of(network)[-1]} <= {*head_of(network)}
    # In MONAI's U-Net a normalisation and a rectifier stand in front of the last convolution, which is a residual.
    assert changed == {*head_of(network)} if record.name != "unet" else changed < {*head_of(network)}


@each_network
def test_the_first_layer_is_what_depends_on_the_channels(record: Network) -> None:
    network = build(record)
    assert differing(network, build(record, in_channels=4)) == set(record.first_layers)
    assert {*record.first_layers} <= {*stages_of(network)[0]}
    assert all(network.get_parameter(name).shape[1] == 3 for name in record.first_layers)


@each_network
def test_stages_are_in_the_order_of_the_forward_pass(record: Network) -> None:
    network = build(record).train()
    owner = {name: stage for stage, names in enumerate(stages_of(network)) for name in names}
    called: list[int] = []
    for name, module in network.named_modules():
        for stage in {owner[f"{name}.{leaf}"] for leaf, _ in module.named_parameters(recurse=False) if name}:
            module.register_forward_pre_hook(lambda *_, stage=stage: called.append(stage))
    network(torch.empty(2, 3, *record.published_size, device="meta"))
    assert len(set(called)) >= len(record.stages) - 1  # heads that work in other ways than being called
    assert called == sorted(called)


def test_other_networks_have_no_stages() -> None:
    more = build(CATALOGUE["sa2net"])
    more.add_module("second_head", torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match=r"second_head\.weight belongs to no stage of SA2Net"):
        stages_of(more)
    with pytest.raises(ValueError, match="Linear is no network of this package"):
        stages_of(torch.nn.Linear(1, 1))
