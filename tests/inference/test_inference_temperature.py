# SPDX-License-Identifier: Apache-2.0
"""Logits that are divided before they become probabilities: of one network, and of each network of an ensemble."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sa2_monai.inference import EnsembleNetwork, VolumeInferer, ensemble_of, load_ensemble
from sa2_monai.weights import read_temperature, save_weights
from tests.inference.slice_networks import make_network, make_volume
from tests.support.small_models import GLANDS

VOLUME = make_volume((20, 18, 3))


def infer(network: Callable[..., torch.Tensor], classes: int = 4, **options: Any) -> torch.Tensor:
    given = {"output": "probabilities", "sigmoid": classes == 1, **options}
    return VolumeInferer(16, **given)(VOLUME, network)


@pytest.mark.parametrize(
    "options", [{}, {"view": "windows"}, {"tta": True}, {"view": "windows", "orientations": "all"}]
)
@pytest.mark.parametrize("classes", [1, 4])
def test_it_divides_the_logits(classes: int, options: dict[str, Any]) -> None:
    network = make_network(out_channels=classes)
    found = infer(network, classes, temperature=0.2, **options)
    torch.testing.assert_close(found, infer(lambda images: network(images) / 0.2, classes, **options))
    plain = infer(network, classes, **options)
    assert (found - plain).abs().max() > 0.05
    assert torch.equal(plain, infer(network, classes, temperature=1.0, **options))


def test_labels_on_the_grid_of_the_network_stay() -> None:
    network = make_network()
    labels = [infer(network, output="grid", temperature=one) for one in (None, 0.1, 7.0)]
    assert torch.equal(labels[0], labels[1])
    assert torch.equal(labels[0], labels[2])


@pytest.mark.parametrize("classes", [1, 4])
def test_an_ensemble_divides_by_those_of_its_networks(classes: int) -> None:
    networks = [make_network(out_channels=classes) for _ in range(2)]
    nn.init.normal_(networks[1][0].weight)
    ensemble = EnsembleNetwork(networks, [0.2, 3.0]).eval()
    parts = [infer(network, classes, temperature=one) for network, one in zip(networks, (0.2, 3.0), strict=True)]
    torch.testing.assert_close(infer(ensemble, classes), sum(parts) / 2)
    # as one network, as it is exported
    torch.testing.assert_close(infer(torch.jit.script(ensemble), classes), sum(parts) / 2)
    parts = [infer(network, classes, temperature=2.0) for network in networks]
    torch.testing.assert_close(infer(ensemble, classes, temperature=2.0), sum(parts) / 2)


def test_ensembles_are_made_with_them(tmp_path: Path) -> None:
    member = {"network": "sa2net", "in_channels": 1, "out_channels": 1, "base_channels": 4}
    assert ensemble_of([{**member, "temperature": 1.7}, member]).temperatures == [1.7, 1.0]
    files = [tmp_path / "a.pt", tmp_path / "b.pt"]
    for file, more in zip(files, ({}, {"temperature": 0.6}), strict=True):
        save_weights(make_network().state_dict(), file, more)
    assert load_ensemble(make_network(), files).temperatures == [1.0, 0.6]


TEST_CASES_WRONG = {
    "zero": (lambda: VolumeInferer(16, temperature=0), "temperature must be a number above 0, or null, got 0"),
    "infinite": (lambda: VolumeInferer(16, temperature=float("inf")), "temperature must be a number above 0"),
    "yes": (lambda: VolumeInferer(16, temperature=True), "got True"),
    "count": (lambda: EnsembleNetwork([make_network()], [1.0, 2.0]), "1 networks have 2 temperatures"),
}


@pytest.mark.parametrize("case", TEST_CASES_WRONG)
def test_wrong_values(case: str) -> None:
    call, message = TEST_CASES_WRONG[case]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("value", [0, -1.0, True, "2", float("nan")])
def test_a_sidecar_with_something_else(value: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    assert read_temperature(file) is None
    save_weights({"w": torch.zeros(1)}, file, {"network": GLANDS["network"]})
    assert read_temperature(file) is None
    sidecar = file.with_suffix(".json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "temperature": value}))
    with pytest.raises(ValueError, match=r"model\.json: temperature is .*, expected a number above 0"):
        read_temperature(file)
