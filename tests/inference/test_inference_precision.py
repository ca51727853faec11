# SPDX-License-Identifier: Apache-2.0
"""The precision of inference: the network calculates in it, and nothing else does, whatever the view."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from torch import nn

from sa2_monai.inference import EnsembleNetwork, VolumeInferer, inferer_for
from sa2_monai.networks.precision import choose
from sa2_monai.slices.slice_view import SliceView
from tests.inference.slice_networks import make_network, make_volume


@pytest.fixture(autouse=True)
def _any_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choose.ANYWAY, "1")


class Watched(nn.Module):
    """A network that notes the types of what its last layer returns."""

    def __init__(self, dropout: bool = False) -> None:
        super().__init__()
        self.network = make_network()
        self.dropout = nn.Dropout(0.5) if dropout else nn.Identity()
        self.seen: list[torch.dtype] = []
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.dtype == torch.float32
        y = self.network(self.dropout(x))
        self.seen.append(y.dtype)
        return y


WAYS: list[dict[str, Any]] = [
    {},
    {"view": "windows", "overlap": 0.5},
    {"view": "windows", "pixdim": 2.0},
    {"view": "windows", "orientations": "all"},
    {"view": "paper"},
    {"output": "probabilities"},
    {"output": "grid"},
    {"tta": True},
    {"dropout_samples": 2},
    {"uncertainty": "entropy"},
    {"temperature": 2.0},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_network_alone_is_in_it(way: dict[str, Any]) -> None:
    volume = MetaTensor(make_volume((20, 20, 3)), affine=torch.eye(4))
    results = {}
    for precision in (None, "fp32", "bf16"):
        network = Watched(dropout="dropout_samples" in way)
        results[precision] = VolumeInferer(16, precision=precision, **way)(volume, network)
        assert set(network.seen) == {torch.bfloat16 if precision == "bf16" else torch.float32}
    assert torch.equal(results[None], results["fp32"]), "bit for bit what it was"
    assert results["bf16"].dtype == results[None].dtype
    if results[None].dtype == torch.float32:
        torch.testing.assert_close(results["bf16"], results[None], atol=0.02, rtol=0)
        assert not torch.equal(results["bf16"], results[None])
    else:
        assert (results["bf16"] == results[None]).float().mean() > 0.9


def test_ensembles() -> None:
    networks = [Watched(), Watched()]
    VolumeInferer(16, precision="bf16")(make_volume((16, 16, 2)), EnsembleNetwork(networks))
    assert [set(network.seen) for network in networks] == [{torch.bfloat16}] * 2


def test_regions_of_the_caller() -> None:
    """``None`` leaves them, as bundles of earlier versions need it; a precision is a precision."""
    for precision, expected in ((None, torch.bfloat16), ("fp32", torch.float32)):
        network = Watched()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            VolumeInferer(16, precision=precision)(make_volume((16, 16, 2)), network)
        assert set(network.seen) == {expected}


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="precision is 'half', expected one of fp32, bf16, fp16, auto, or None"):
        VolumeInferer(16, precision="half")
    inferer = inferer_for(SliceView(view="whole", roi_size=(16, 16)), precision="fp16")
    with pytest.raises(ValueError, match="the device is a CPU"):
        inferer.members(make_network())  # before a run
    monkeypatch.delenv(choose.ANYWAY)
    monkeypatch.setattr(choose, "bf16_units", list)
    with pytest.raises(ValueError, match="no bfloat16 units"):
        VolumeInferer(16, precision="bf16")(make_volume((16, 16, 2)), make_network())
