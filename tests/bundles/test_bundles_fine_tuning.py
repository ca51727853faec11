# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning by the switches of the bundles: other classes, frozen epochs, layer-wise rates, over a resume."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_tools import BUNDLES, make_workflow, read_json, run
from monai.utils import set_determinism

from sa2_monai.networks.stages import stages_of
from sa2_monai.weights import save_weights
from tests.support.narrow import WIDTH

# MONAI announces each list of files that it is given as a warning.
pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")


def last_state(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(root / "models" / "last_state.pt", weights_only=True)
    return found


@pytest.mark.parametrize("bundle", BUNDLES)
def test_fine_tuning(bundle: str, images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """From the run of three other classes: one frozen epoch, and after a resume one in which everything learns."""
    tuning: dict[str, Any] = {
        **{"bundle_root": str(tmp_path), "dataset_dir": str(images), "view": "whole", "augment": False},
        **{"pretrained": str(tmp_path / "earlier"), "frozen_epochs": 1, "layer_decay": 0.5},
        "checkpointing": True,
    }
    network = make_workflow(
        bundle, "train", "folder", **tuning, class_names=["background", "a", "b"]
    ).parser.get_parsed_content("network_def")
    info = {
        "network": bundle,
        **WIDTH[bundle],
        "in_channels": 3,
        "out_channels": 3,
        "class_names": ["background", "a", "b"],
    }
    save_weights(network.state_dict(), tmp_path / "earlier" / "models" / "model.pt", info)
    theirs, stages = network.state_dict(), stages_of(network)

    with caplog.at_level(logging.INFO, "sa2_monai"):
        run(bundle, "train", "folder", **tuning, max_epochs=1)
    assert f"; the head is new ({network_outputs(tmp_path)} instead of 3 outputs)." in caplog.text
    assert "what was loaded does not learn up to epoch 1" in caplog.text
    frozen = last_state(tmp_path)
    kept = set(theirs) - set(stages[-1])
    assert [name for name in kept if not torch.equal(frozen["model"][name], theirs[name])] == []
    record = read_json(tmp_path / "eval" / "run.json")
    assert record["configuration"]["pretrained"] == tuning["pretrained"]

    set_determinism(None)
    run(bundle, "train", "folder", **tuning, max_epochs=2, resume=True)
    learned = last_state(tmp_path)
    assert (frozen["engine"]["epoch"], learned["engine"]["epoch"]) == (1, 2)
    moved = {name for name in kept if not torch.equal(learned["model"][name], theirs[name])}
    assert len(moved) > 0.8 * len(kept)
    rates = [group["initial_lr"] for group in learned["optimizer"]["param_groups"]]
    assert rates == [rates[0] * 0.5**depth for depth in range(len(stages))]
    now = [group["lr"] for group in learned["optimizer"]["param_groups"]]
    assert now == pytest.approx([now[0] * 0.5**depth for depth in range(len(stages))], rel=1e-9)


def network_outputs(root: Path) -> int:
    return int(read_json(root / "models" / "model.json")["out_channels"])
