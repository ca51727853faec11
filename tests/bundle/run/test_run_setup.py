# SPDX-License-Identifier: Apache-2.0
"""From a request to the configurations: the plan, then overlays, then what the caller has set."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from sa2_monai.bundle.planning.start import start_of
from sa2_monai.bundle.run import TrainRequest
from sa2_monai.bundle.run.folder import write_run
from sa2_monai.bundle.run.ids import known_ids, refuse_unknown
from sa2_monai.bundle.run.setup import plan_run
from sa2_monai.bundle.run.target import is_run
from sa2_monai.bundle.switches import SwitchError
from sa2_monai.data import load_parts
from tests.support.trained_run import TrainedRun

SMALL = {"base_channels": 4, "roi_size": [32, 32], "max_epochs": 2}


def request(data: Path, run: Path, **more: Any) -> TrainRequest:
    return TrainRequest(data, run, network="sa2net", device="cpu", **{"overrides": SMALL, **more})


def test_who_wins(sample_dir: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "own.yaml"
    overlay.write_text("batch_size: 3\nlearning_rate: 0.5\n")
    setup = plan_run(
        request(sample_dir, tmp_path / "run", overlays=[str(overlay)], overrides={**SMALL, "learning_rate": 0.25})
    )
    assert setup.plan is not None
    planned = setup.plan.values()
    assert not {"batch_size", "learning_rate", *SMALL} & set(planned)
    train, inference = setup.contents.train, setup.contents.inference
    assert (train["batch_size"], train["learning_rate"]) == (3, 0.25)
    assert {name: train[name] for name in planned if name != "dataset_dir"} == {
        name: value for name, value in planned.items() if name != "dataset_dir"
    }
    assert inference["intensity"] == train["intensity"] == planned["intensity"]
    assert "learning_rate" not in inference


def test_without_a_plan_it_is_as_the_bundle_says(sample_dir: Path, tmp_path: Path) -> None:
    folds = {"fold": 1, "num_folds": 4, "split_seed": 7}
    setup = plan_run(request(sample_dir, tmp_path / "run", overlays=["sample"], plan=False, overrides=folds))
    assert setup.plan is None
    train = setup.contents.train
    assert {name: train[name] for name in folds} == folds
    assert (train["base_channels"], train["view"], train["layout"]) == (16, "windows", "folder")


def test_weights_decide_on_network_and_width(trained_run: TrainedRun, tmp_path: Path) -> None:
    assert start_of(None) == start_of("no such file") == (None, {})
    assert start_of(str(trained_run.folder)) == ("sa2net", {"base_channels": 4})
    wanted = {"pretrained": str(trained_run.folder), "max_epochs": 1}
    setup = plan_run(TrainRequest(trained_run.data, tmp_path / "run", overrides=wanted, device="cpu"))
    assert setup.network == "sa2net"
    assert setup.contents.train["base_channels"] == 4
    assert setup.plan is not None
    assert "base_channels" not in setup.plan.values()
    overlay = tmp_path / "own.yaml"
    overlay.write_text("base_channels: 8\n")
    setup = plan_run(
        TrainRequest(trained_run.data, tmp_path / "run", overlays=[str(overlay)], overrides=wanted, device="cpu")
    )
    assert setup.contents.train["base_channels"] == 8, "what the user says wins, and the training refuses it"


def test_a_value_that_only_another_network_has() -> None:
    refuse_unknown({"restart_interval": 5}, *known_ids("sa2net", ()))
    refuse_unknown({"restart_interval": 5}, *known_ids(None, ()))  # the plan has the choice
    with pytest.raises(SwitchError, match="the bundle daeformer has no restart_interval"):
        refuse_unknown({"restart_interval": 5}, *known_ids("daeformer", ()))


def test_data_found_by_patterns_are_listed_in_the_run(sample_dir: Path, tmp_path: Path) -> None:
    for folder, kind in (("scans", "images"), ("drawn", "labels")):
        shutil.copytree(sample_dir / kind, tmp_path / "raw" / folder / "of 2024")
    run = tmp_path / "run"
    setup = plan_run(request(tmp_path / "raw", run, images="scans/*/*.png", labels="drawn/*/*.png"))
    assert not run.exists()
    write_run(setup)
    assert is_run(run)
    where = ConfigParser(setup.contents.train).get_parsed_content("dataset_dir")
    assert where == str(run / "configs" / "pairs.csv")
    parts = load_parts(where, setup.contents.train["layout"])
    assert sum(map(len, parts.values())) == 16
    assert all(Path(case["image"]).is_file() for cases in parts.values() for case in cases)
