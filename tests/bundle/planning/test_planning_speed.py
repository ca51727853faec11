# SPDX-License-Identifier: Apache-2.0
"""The timing of real training steps."""

from __future__ import annotations

import pytest
import torch

from sa2_monai.bundle.baselines import overlays_of, source_of
from sa2_monai.bundle.locate import find_config, load
from sa2_monai.bundle.planning.speed import seconds_per_step
from sa2_monai.bundle.planning.width import NARROW
from sa2_monai.networks.catalogue import network_names


@pytest.mark.parametrize("network", network_names())
def test_steps_of_every_network_are_timed(network: str) -> None:
    narrow = {**NARROW[network], "roi_size": [64, 64], "batch_size": 2, "class_names": ["background", "one", "two"]}
    base = load(find_config(source_of(network), "train"), *overlays_of(network, source_of(network)))
    config = {**base, **narrow, "label_values": None, "device": "$torch.device('cpu')"}
    torch.manual_seed(3)
    before = torch.get_rng_state()
    seconds = seconds_per_step(config, (80, 72))
    assert seconds > 0
    many = {**config, "num_workers": 2, "kind": "volumes"}
    assert seconds_per_step(many, (80, 72)) > 0
    assert config["roi_size"] == [64, 64]  # nothing of it is changed
    assert torch.equal(torch.get_rng_state(), before)
