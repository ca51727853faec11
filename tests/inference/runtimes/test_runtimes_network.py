# SPDX-License-Identifier: Apache-2.0
"""Inferers with a runtime: prepared once, for each network of an ensemble, anew for other weights."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
import torch
from torch import nn

from sa2_monai.inference import CaseEvaluator, EnsembleNetwork, VolumeInferer
from sa2_monai.inference.runtimes import RuntimeNetwork, RuntimeRefusedError
from tests.inference.told_runtime import Told

VOLUME = torch.rand(1, 3, 40, 36, 5, generator=torch.Generator().manual_seed(0))
VIEWS: list[dict[str, Any]] = [
    {"normalize": (0.5, 0.5)},
    {"view": "windows", "overlap": 0.5},
    {"tta": True, "output": "probabilities"},
    {"view": "paper"},
]


@pytest.mark.parametrize("options", VIEWS, ids=str)
def test_same_maps(options: dict[str, Any], network: nn.Module, told: Told) -> None:
    """Whatever the view, the network is prepared for one size, and once."""
    expected = VolumeInferer(32, **options)(VOLUME, network)
    inferer = VolumeInferer(32, **options, runtime="openvino")
    torch.testing.assert_close(inferer(VOLUME, network), expected)  # labels are equal
    torch.testing.assert_close(VolumeInferer(32, **options, runtime="openvino")(VOLUME, network), expected)
    assert len(told.jobs) == 1


def test_ensemble(network: nn.Module, told: Told) -> None:
    other = copy.deepcopy(network)
    nn.init.normal_(other[3].weight)
    ensemble = EnsembleNetwork([network, other], [1.0, 2.0])
    expected = VolumeInferer(32)(VOLUME, ensemble)
    assert torch.equal(VolumeInferer(32, runtime="openvino")(VOLUME, ensemble), expected)
    assert [job.network for job in told.jobs] == [network, other]


def test_other_weights_and_sizes_are_prepared_anew(network: nn.Module, told: Told) -> None:
    for size, batch in ((32, 8), (32, 2), (48, 8)):
        VolumeInferer(size, slice_batch_size=batch, runtime="openvino")(VOLUME, network)
    assert [job.example.shape[-1] for job in told.jobs] == [32, 48]
    state = {name: value + 1 for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    VolumeInferer(32, runtime="openvino")(VOLUME, network)
    assert len(told.jobs) == 3


def test_what_was_prepared_goes_with_the_network(network: nn.Module, told: Told) -> None:
    """Copies begin without, and nothing keeps a network that nobody needs."""
    RuntimeNetwork(network, "openvino")(VOLUME[..., 0])
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        RuntimeNetwork(twin, "openvino")(VOLUME[..., 0])
    assert len(told.jobs) == 3
    told.jobs.clear()
    gone = weakref.ref(twin)
    del twin
    gc.collect()
    assert gone() is None


def test_refused(network: nn.Module, told: Told) -> None:
    with pytest.raises(ValueError, match="dropout_samples is 2, which only runtime eager has"):
        VolumeInferer(32, runtime="openvino", dropout_samples=2)
    with pytest.raises(ValueError, match=r"needs a torch\.nn\.Module, got a function"):
        VolumeInferer(32, runtime="openvino")(VOLUME, lambda images: images)
    with pytest.raises(ValueError, match=r"call network.eval\(\)"):
        VolumeInferer(32, runtime="openvino")(VOLUME, network.train())


def test_a_refusal_ends_a_run(network: nn.Module, told: Told) -> None:
    """It concerns every case: the others are not tried."""
    told.change = torch.neg
    cases = [{"image": VOLUME[0], "case": str(number)} for number in range(3)]
    loader = torch.utils.data.DataLoader(cases, batch_size=1)
    inferer = VolumeInferer(32, runtime="openvino")
    evaluator = CaseEvaluator(torch.device("cpu"), loader, network, inferer=inferer)
    with pytest.raises(RuntimeRefusedError, match="gives something else than eager fp32"):
        evaluator.run()
    assert evaluator.cases == []
    assert len(told.jobs) == 1
