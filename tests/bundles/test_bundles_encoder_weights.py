# SPDX-License-Identifier: Apache-2.0
"""The switch ``encoder_weights`` of the bundles whose published networks start from ImageNet: one meaning, one test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_tools import BUNDLES, WIDTH, Merge, failure, read_json, resolved, run

from sa2_monai.networks import create_network
from sa2_monai.weights import load_encoder
from sa2_monai.weights.imagenet import source_of

CLASSIFIERS = {"msa2net": "head.fc", "svanet": "fc"}
FILES = {"msa2net": "maxvit_rmlp_small_rw_224_sw-6ef0ae4f.pth", "svanet": "resnet50-11ad3fa6.pth"}
EVERY = pytest.mark.parametrize("bundle", sorted(CLASSIFIERS))
# MONAI announces each list of files that it is given as a warning.
pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")


def narrow(bundle: str) -> torch.nn.Module:
    """The network as the bundle builds it with the smallest width."""
    (definition,) = resolved({**Merge(bundle, ("train", "folder")).load(), **WIDTH[bundle]}, "network_def")
    assert isinstance(definition, torch.nn.Module)
    return definition


def published_file(bundle: str, path: Path) -> dict[str, torch.Tensor]:
    """A file with the names of timm or torchvision, for the narrow encoder; returns the encoder's tensors."""
    torch.manual_seed(3)
    state = {name: value.clone() for name, value in narrow(bundle).get_submodule("encoder").state_dict().items()}
    head = CLASSIFIERS[bundle]
    torch.save({**state, f"{head}.weight": torch.zeros(10, 8), f"{head}.bias": torch.zeros(10)}, path)
    return state


def test_the_bundles_that_have_an_encoder_have_the_switch() -> None:
    with torch.device("meta"):
        networks = {bundle: create_network(bundle, in_channels=3, out_channels=2) for bundle in BUNDLES}
    configs = {bundle: Merge(bundle, ("train",)).load() for bundle in BUNDLES}
    assert {bundle for bundle, config in configs.items() if "encoder_weights" in config} == set(CLASSIFIERS)
    for bundle in CLASSIFIERS:
        assert configs[bundle]["encoder_weights"] is None  # nothing is downloaded
        assert FILES[bundle] in source_of(networks[bundle]).files


@EVERY
@pytest.mark.parametrize("switches", [{"learning_rate": 0.0}, {"frozen_epochs": 1}], ids=["no rate", "frozen"])
def test_a_training_starts_from_the_file(bundle: str, switches: dict[str, Any], images: Path, tmp_path: Path) -> None:
    path = tmp_path / FILES[bundle]
    start = published_file(bundle, path)
    run(
        *(bundle, "train", "folder"),
        bundle_root=str(tmp_path),
        dataset_dir=str(images),
        encoder_weights=str(path),
        max_epochs=1,
        **switches,
    )
    state = torch.load(tmp_path / "models" / "last_state.pt", weights_only=True)["model"]
    learned = [n for n in start if "frozen_epochs" in switches or ("running" not in n and "num_batches" not in n)]
    assert len(learned) > 20
    assert all(torch.equal(state[f"encoder.{name}"], start[name]) for name in learned)
    record = read_json(tmp_path / "eval" / "run.json")
    assert record["configuration"]["encoder_weights"] == str(path)


@EVERY
def test_what_cannot_be_the_start_is_named(bundle: str, images: Path, tmp_path: Path) -> None:
    path, missing = tmp_path / FILES[bundle], tmp_path / "none.pth"
    published_file(bundle, path)

    def refused(**switches: Any) -> str:
        return failure(
            *(bundle, "train", "folder"),
            bundle_root=str(tmp_path),
            dataset_dir=str(images),
            max_epochs=1,
            **{name: str(value) for name, value in switches.items()},
        )

    message = refused(encoder_weights=missing)
    assert f"{missing} does not exist. For ImageNet weights" in message
    assert FILES[bundle] in message
    assert "set encoder_weights to where it is" in message
    message = refused(pretrained=path)
    assert f"{path} holds ImageNet weights for the encoder of {bundle} alone, not a model." in message
    assert "as encoder_weights" in message
    assert "set one of them to null" in refused(pretrained=missing, encoder_weights=path)
    (other,) = set(CLASSIFIERS) - {bundle}
    published_file(other, path)
    assert "does not hold the weights of this encoder" in refused(encoder_weights=path)
    assert f"for the encoder of {other} alone" in refused(pretrained=path)


@pytest.mark.parametrize(("switches", "stages"), [({}, 1), ({"encoder_weights": "w.pth"}, 2), ({"pretrained": "m"}, 2)])
def test_svanet_has_the_stages_of_its_start(switches: dict[str, str], stages: int) -> None:
    config = {**Merge("svanet", ("train",)).load(), **WIDTH["svanet"], **switches}
    lr_lambda = config["schedules"]["two_stage_cosine"]["lr_lambda"]
    (found,) = resolved({**config, "lr_lambda": {**lr_lambda, "max_epochs": 100}}, "lr_lambda")
    assert (found.stages, found.fraction, found.warm_up) == (stages, 0.1, None)


def test_the_file_of_timm_fits_the_published_width() -> None:
    """The whole MaxViT-small, as names and shapes: 651 tensors of the file, and those alone."""
    with torch.device("meta"):
        network = create_network("msa2net", in_channels=1, out_channels=9)
    assert len(network.get_submodule("encoder").state_dict()) == 651
    with pytest.raises(FileNotFoundError, match="set encoder_weights to where it is"):
        load_encoder(network, FILES["msa2net"])
