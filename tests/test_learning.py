# SPDX-License-Identifier: Apache-2.0
"""The bundle learns: a short training beats predicting all foreground by far, on generated and on real nuclei."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.data import load_datalist, read_label
from tests.bundles.bundle_tools import run

# MONAI says at each run that configurations are code, and that Ignite's own state is not restored by set_determinism.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:monai", "ignore:parsing config_file:UserWarning")


def dice_of_all_foreground(cases: list[dict[str, Any]]) -> float:
    shares = [float((read_label(case["label"]) > 0).mean()) for case in cases]
    return float(np.mean([2 * share / (1 + share) for share in shares]))


def train(dataset_dir: Path, output: Path, **overrides: Any) -> dict[str, Any]:
    run(
        "sa2net",
        *("train", "sample"),
        dataset_dir=str(dataset_dir),
        ckpt_dir=str(output / "models"),
        output_dir=str(output / "results"),
        batch_size=4,
        **{"base_channels": 8, "roi_size": [96, 96], "val_interval": 10, "seed": 0, **overrides},
    )
    return json.loads((output / "models" / "model.json").read_text())


def test_learns_generated_nuclei(sample_dir: Path, tmp_path: Path, untraced: None) -> None:
    info = train(sample_dir, tmp_path, max_epochs=40)
    chance = dice_of_all_foreground(load_datalist(sample_dir, "validation", class_names=["background", "nucleus"]))
    assert 0.05 < chance < 0.6
    assert info["metric_name"] == "val_mean_dice"
    assert info["metric"] > chance + 0.25


@pytest.mark.realdata
def test_learns_real_nuclei(real_data: Path, tmp_path: Path, untraced: None) -> None:
    source = real_data / "bbbc038_nuclei"
    description = json.loads((source / "dataset.json").read_text())

    def some(part: str, count: int) -> list[dict[str, str]]:
        names = [case for case in description[part] if Path(case["image"]).name.startswith(("he_", "fluo_"))][:count]
        return [{key: str(source / case[key]) for key in ("image", "label")} for case in names]

    folder = tmp_path / "nuclei"
    folder.mkdir()
    small = {"labels": description["labels"], "training": some("training", 24), "validation": some("validation", 6)}
    (folder / "dataset.json").write_text(json.dumps({**small, "test": some("test", 2)}))
    info = train(folder, tmp_path, max_epochs=20)
    chance = dice_of_all_foreground(load_datalist(folder, "validation", class_names=["background", "nucleus"]))
    assert 0.05 < chance < 0.6
    assert info["metric"] > chance + 0.25
