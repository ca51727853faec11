# SPDX-License-Identifier: Apache-2.0
"""Starter models by their names, wherever weights can be named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle import describe_path
from sa2_monai.cli.main import main
from sa2_monai.networks import create_network
from sa2_monai.weights import load_weights, read_checkpoint, read_info, save_weights, sha256_of, starter_file, starters
from sa2_monai.weights.starters import STARTERS, starter_names
from sa2_monai.weights.weight_files import weight_file

INFO = {
    **{"network": "sa2net", "in_channels": 3, "out_channels": 1, "base_channels": 4, "kind": "images"},
    **{"class_names": ["background", "nucleus"], "view": "whole", "roi_size": [32, 32], "intensity": "range"},
}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the starter models, with one that is small: ``cells``."""
    folder = tmp_path / "starters"
    folder.mkdir()
    torch.manual_seed(0)
    network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=4)
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in network.state_dict().items()
    }
    save_weights(half, folder / "cells.safetensors", INFO)
    monkeypatch.setattr(starters, "STARTERS", folder)
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (40, 36, 3), np.uint8)).save(path)
    return path


def test_names(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert starter_names() == ["cells"]
    assert weight_file("cells") == starter_file("cells") == tiny / "cells.safetensors"
    assert starter_file("nuclei") is None
    assert starter_file(tiny / "cells.safetensors") is None
    monkeypatch.chdir(tmp_path)
    Path("cells").write_text("a file of the user")
    assert weight_file("cells") == Path("cells")


def test_half_precision_is_loaded_into_single(tiny: Path) -> None:
    network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=4)
    info = load_weights(network, tiny / "cells.safetensors", INFO)
    assert info == read_info(tiny / "cells.safetensors")
    assert info["sha256"] == sha256_of(tiny / "cells.safetensors")
    stored = read_checkpoint(tiny / "cells.safetensors")
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == (torch.int64 if name.endswith("num_batches_tracked") else torch.float32)
        assert torch.equal(tensor, stored[name].to(tensor.dtype)), name


def test_predict_with_a_model_of_the_package(
    tiny: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(image), "--model", "cells", "--device", "cpu"]) == 0
    mask = np.asarray(Image.open(tmp_path / "runs" / "predict-image" / "predictions" / "image.png"))
    assert mask.shape == (40, 36)
    np.testing.assert_array_equal(mask, load_bundle("cells", device="cpu").predict(image))
    assert "cells.json" in capsys.readouterr().out
    assert not list(tiny.glob("*.tmp"))


TEST_CASES_REFUSED = {
    "unknown": (["--model", "nonsense"], "--model nonsense: no such model; the package has cells"),
    "with weights": (["--model", "cells", "--weights", "model.pt"], "leave --weights and --bundle out"),
    "with a bundle": (["--model", "cells", "--bundle", "sa2net"], "leave --weights and --bundle out"),
}


@pytest.mark.parametrize("case", TEST_CASES_REFUSED)
def test_refused(case: str, tiny: Path, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options, words = TEST_CASES_REFUSED[case]
    with pytest.raises(SystemExit) as exit_:
        main(["predict", str(image), *options])
    assert exit_.value.code == 2
    assert words in capsys.readouterr().err


def test_package_of_a_starter_has_plain_single_precision(tiny: Path, tmp_path: Path) -> None:
    assert main(["package", "--weights", "cells", "--output", str(tmp_path), "--name", "cells_bundle"]) == 0
    state = torch.load(tmp_path / "cells_bundle" / "models" / "model.pt", weights_only=True)
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}
    info = json.loads((tmp_path / "cells_bundle" / "models" / "model.json").read_text())
    assert info["class_names"] == ["background", "nucleus"]
    assert describe_path(tmp_path / "cells_bundle")["problems"] == []


def test_what_the_package_has_is_small_and_whole() -> None:
    for name in [file.stem for file in STARTERS.glob("*.safetensors")]:
        file = STARTERS / f"{name}.safetensors"
        assert file.stat().st_size <= 3_000_000
        assert read_info(file)["sha256"] == sha256_of(file)
        assert load_bundle(name, device="cpu").network() is not None
