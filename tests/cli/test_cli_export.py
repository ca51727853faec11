# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai export``: what it prints, writes and returns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sa2_monai.bundle import FORMATS
from sa2_monai.bundle.exporting import parity
from sa2_monai.cli import export
from sa2_monai.cli.main import main
from tests.cli.mini_bundle import make_bundle
from tests.support.small_models import GLANDS, save_model


@pytest.fixture
def glands(tmp_path: Path) -> Path:
    return save_model(tmp_path / "model.pt", GLANDS)


def test_labels_in_torchscript(
    glands: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], untraced: None
) -> None:
    """The bundle is found by what stands beside the weights."""
    arguments = ["export", "--weights", str(glands), "--to", "torchscript", "--labels", "--report"]
    assert main([*arguments, str(tmp_path / "parity.json")]) == 0
    printed = capsys.readouterr().out
    assert "Parity with PyTorch (torchscript, images 1x3x32x32, 2x3x48x64)" in printed
    assert "pixels with the same class: 100.0000%" in printed
    assert f"{tmp_path / 'model_labels.ts'}: " in printed
    report = json.loads((tmp_path / "parity.json").read_text())
    assert report["passed"] is True
    assert report["file"] == str(tmp_path / "model_labels.ts")
    labels = torch.jit.load(tmp_path / "model_labels.ts")(torch.zeros(1, 3, 48, 32))
    assert labels.shape == (1, 1, 48, 32)
    assert labels.dtype == torch.uint8


def test_disagreement_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, untraced: None
) -> None:
    monkeypatch.setitem(parity.TOLERANCE, "single", -1.0)
    bundle = make_bundle(tmp_path / "b")
    assert main(["export", "--bundle", str(bundle), "--to", "torchscript"]) == 1
    assert "NOT PASSED" in capsys.readouterr().out


def test_wrong_use(glands: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.FORMATS == FORMATS
    with pytest.raises(SystemExit) as stopped:
        main(["export", "--to", "onnx"])
    assert stopped.value.code == 2
    assert "give --bundle, --weights, or both" in capsys.readouterr().err
    stranger = save_model(tmp_path / "other" / "x.pt", {**GLANDS, "network": "sa2net"})
    stranger.with_suffix(".json").unlink()
    assert main(["export", "--weights", str(stranger), "--to", "onnx"]) == 1
    assert "does not say which bundle it belongs to" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert main(["export", "--weights", str(glands), "--to", "tensorrt"]) == 1
        assert "needs a CUDA device" in capsys.readouterr().err
