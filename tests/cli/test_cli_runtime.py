# SPDX-License-Identifier: Apache-2.0
"""``--runtime`` of predict and evaluate: what it changes, what the records say, and how it ends a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import sa2_monai
from sa2_monai.cli.machine_options.runtime import RUNTIMES
from sa2_monai.cli.main import main
from sa2_monai.data import make_sample, read_label
from sa2_monai.inference import runtimes
from tests.inference.told_runtime import Told, stand_in
from tests.support.small_models import GLANDS, save_model


@pytest.fixture(scope="module")
def glands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glands")
    make_sample(folder / "data", seed=3, num_training=1, num_validation=1, num_test=2, size=(48, 72))
    save_model(folder / "model.pt", GLANDS)
    return folder


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return stand_in(monkeypatch)


def predict(folder: Path, output: Path, *options: str) -> int:
    words = ["predict", str(folder / "data" / "images"), "--weights", str(folder / "model.pt"), "--device", "cpu"]
    return main([*words, "--output", str(output), *options])


def test_names() -> None:
    assert tuple(runtimes.RUNTIMES) == RUNTIMES


def test_same_maps(glands: Path, tmp_path: Path, told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    """Prepared once for all images and by one line; the records name the runtime."""
    assert predict(glands, tmp_path / "eager", "--runtime", "eager") == 0
    assert told.jobs == []
    assert predict(glands, tmp_path / "other", "--runtime", "openvino", "--tta") == 0
    assert predict(glands, tmp_path / "tta", "--tta") == 0
    assert len(told.jobs) == 1
    assert capsys.readouterr().out.count("runtime openvino (fp32): ready for 3 x 32 x 32 after") == 1
    files = sorted((tmp_path / "other" / "predictions").glob("*.png"))
    assert len(files) == 4
    for file in files:
        assert (read_label(file) == read_label(tmp_path / "tta" / "predictions" / file.name)).all()
    record = json.loads((tmp_path / "other" / "run_inference.json").read_text())
    assert record["configuration"]["runtime"] == "openvino"
    summary = json.loads((tmp_path / "other" / "predict_summary.json").read_text())
    assert summary["settings"]["options"]["runtime"] == "openvino"


def test_in_python(glands: Path, told: Told) -> None:
    """The network of a loaded bundle stays ready from call to call."""
    bundle = sa2_monai.load_bundle("sa2net", glands / "model.pt", device="cpu")
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    expected = bundle.predict(image)
    for _ in range(2):
        assert (bundle.predict(image, runtime="openvino") == expected).all()
    assert len(told.jobs) == 1
    with pytest.raises(ValueError, match=r"runtime is 'opnevino'.*openvino"):
        bundle.predict(image, runtime="opnevino")


def test_a_runtime_that_is_wrong_ends_the_run(
    glands: Path, tmp_path: Path, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, and not one for each case."""
    told.change = lambda logits: -logits
    assert predict(glands, tmp_path / "out", "--runtime", "openvino") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("sa2-monai predict: error: runtime openvino in fp32 gives something else than eager fp32")
    assert not list((tmp_path / "out" / "predictions").glob("*.png"))


def test_refused_at_once(
    glands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(glands, tmp_path / "out", "--runtime", "compile", "--dropout-samples", "2") == 1
    assert "dropout_samples is 2, which only runtime eager has" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    assert predict(glands, tmp_path / "out", "--runtime", "openvino") == 1
    assert "runtime openvino needs onnx, onnxscript, openvino: pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        main(["evaluate", "-p", "a", "-r", "b", "--runtime", "openvino"])
    assert "--runtime: only with --bundle" in capsys.readouterr().err
