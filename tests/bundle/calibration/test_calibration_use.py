# SPDX-License-Identifier: Apache-2.0
"""A temperature that was found is used by every prediction with the weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sa2_monai import load_bundle
from sa2_monai.bundle import as_validated
from sa2_monai.cli.main import main
from sa2_monai.io.images.read import read_label
from sa2_monai.weights import read_info, save_weights, sha256_of
from tests.bundle.calibration.made_data import (
    Calibrated,
)


def test_predictions_use_it_where_nothing_else_is_said(calibrated: Calibrated, tmp_path: Path) -> None:
    image = calibrated.data / "images" / "test0.png"
    found = calibrated.document["temperature"]
    files = {}
    for name, given in {"as calibrated": {}, "told": {"temperature": found}, "plain": {"temperature": 1.0}}.items():
        load_bundle(calibrated.bundle, device="cpu").predict([image], tmp_path / name, save_probabilities=True, **given)
        files[name] = sha256_of(tmp_path / name / "test0_prob.png")
    assert files["as calibrated"] == files["told"] != files["plain"]
    words = [
        "predict",
        str(image),
        "--bundle",
        str(calibrated.bundle),
        "--output",
        str(tmp_path / "o"),
        "--probabilities",
    ]
    assert main([*words, "--device", "cpu"]) == 0
    assert sha256_of(tmp_path / "o" / "predictions" / "test0_prob.png") == files["as calibrated"]


def test_finished_cases_are_done_again_with_another_temperature(
    calibrated: Calibrated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Path(shutil.copytree(calibrated.bundle, tmp_path / "bundle"))
    image, out = calibrated.data / "images" / "test0.png", tmp_path / "o"
    words = ["predict", str(image), "--bundle", str(bundle), "--output", str(out), "--device", "cpu"]
    assert main(words) == main(words) == 0
    assert "1 of 1 are finished already" in capsys.readouterr().out
    sidecar = bundle / "models" / "model.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "temperature": 3.0}))
    assert main(words) == 0
    assert "finished already" not in capsys.readouterr().out


@pytest.mark.parametrize("settings", [{}, {"roi_size": [48, 48]}], ids=["one view", "two views"])
def test_members_of_an_ensemble_have_their_own(
    settings: dict[str, Any], calibrated: Calibrated, tmp_path: Path
) -> None:
    members, image = [], calibrated.data / "images" / "test0.png"
    for name, entries in {"calibrated": {}, "plain": {"temperature": None, **settings}}.items():
        bundle = Path(shutil.copytree(calibrated.bundle, tmp_path / name))
        sidecar = bundle / "models" / "model.json"
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **entries}))
        members.append(bundle)
    ensemble = load_bundle(members, device="cpu")
    assert "temperature" not in read_info(ensemble.root / "models" / "model.pt")
    found = []
    for name, bundle in {"both": ensemble, **{file.name: load_bundle(file, device="cpu") for file in members}}.items():
        out = tmp_path / "o" / name
        bundle.predict([image], out, save_probabilities=True)
        one, both = out / "test0_prob.png", out / "test0_prob.npy"  # of members with two views each class has a channel
        found.append(read_label(one) / 65535 if one.is_file() else np.load(both)[1].astype(float))
    assert np.abs(found[1] - found[2]).max() > 0.05
    np.testing.assert_allclose(found[0], (found[1] + found[2]) / 2, atol=1e-3)


def test_as_validated(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    assert as_validated(file, temperature=None) == {"temperature": None}
    save_weights({"w": torch.zeros(1)}, file, {"network": "sa2net", "temperature": 2.5})
    assert as_validated(file, temperature=None) == {"temperature": 2.5}
    assert as_validated(file, temperature=1.0) == {"temperature": 1.0}
    assert as_validated([file, file], temperature=None) == {"temperature": None}, "the networks have their own"
