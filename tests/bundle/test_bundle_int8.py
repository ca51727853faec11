# SPDX-License-Identifier: Apache-2.0
"""Export in whole numbers: what they are calibrated on, what they cost, and when nothing is written."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from sa2_monai.bundle import find_bundle, load_bundle
from sa2_monai.bundle.exporting import int8
from sa2_monai.bundle.exporting.int8 import Int8Report, export_int8
from sa2_monai.cli.main import main
from sa2_monai.data import make_sample, read_image
from tests.support.small_models import GLANDS, save_model

FACTS: dict[str, Any] = {
    **{"slices": 300, "section": "test", "cases": 48, "dice": 0.881, "fp32": 0.884, "difference": -0.003},
    **{"ci95_low": -0.005, "ci95_high": 0.001, "bytes": 1_500_000, "fp32_bytes": 5_000_000},
}
HAS_NNCF = all(find_spec(name) for name in ("nncf", "openvino", "onnx", "onnxscript"))
needs_nncf = pytest.mark.skipif(not HAS_NNCF, reason="extra `int8` is not installed")


@pytest.fixture(scope="module")
def glands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glands")
    make_sample(folder / "data", seed=3, num_training=3, num_validation=1, num_test=2, size=(48, 72))
    save_model(folder / "model.pt", GLANDS)
    return folder


@pytest.mark.parametrize(("lost", "passed"), [(-0.01, True), (0.0, True), (0.0049, True), (0.005, False), (0.2, False)])
def test_half_a_point(lost: float, passed: bool) -> None:
    report = Int8Report(**{**FACTS, "difference": -lost})
    assert report.passed is passed
    assert report.as_dict()["passed"] is passed


def test_text() -> None:
    assert Int8Report(**FACTS).text() == (
        "int8, calibrated on 300 slices: Dice 88.10, fp32 88.40, difference -0.30 points "
        "(95 % interval -0.50 to +0.10) on 48 test cases; 1,500,000 bytes instead of 5,000,000"
    )
    assert "interval" not in Int8Report(**{**FACTS, "ci95_low": None, "ci95_high": None}).text()


def test_calibrated_on_what_the_network_sees(glands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training part after the bundle's own preprocessing, resized; the same on each call, and not too many."""
    loaded = load_bundle("sa2net", glands / "model.pt", device="cpu")
    found = int8._seen_slices(loaded, glands / "data", {"layout": "folder"})
    assert [image.shape for image in found] == [(1, 3, 32, 32)] * 3
    names = [case["image"] for case in loaded.cases(glands / "data", section="training", layout="folder")]
    for image, name in zip(found, names, strict=True):
        mean = float(read_image(name).mean()) / 255
        assert abs(image.mean() - mean) < 0.02
    monkeypatch.setattr(int8, "MOST_SLICES", 2)
    fewer = int8._seen_slices(loaded, glands / "data", {"layout": "folder"})
    assert len(fewer) == 2
    assert torch.equal(fewer[0], int8._seen_slices(loaded, glands / "data", {"layout": "folder"})[0])


@needs_nncf
def test_kept_where_it_is_good(
    glands: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], untraced: None
) -> None:
    words = ["export", "--weights", str(glands / "model.pt"), "--to", "openvino", "--int8", str(glands / "data")]
    words += ["--output", str(tmp_path / "small.xml"), "--report", str(tmp_path / "report.json")]
    code = main(words)
    report = json.loads((tmp_path / "report.json").read_text())
    printed = capsys.readouterr().out
    assert report["slices"] == 3
    assert report["difference"] == pytest.approx(report["dice"] - report["fp32"])
    assert code == (0 if report["passed"] else 1)
    assert (tmp_path / "small.xml").exists() is (tmp_path / "small.bin").exists() is report["passed"]
    assert f"difference {100 * report['difference']:+.2f} points" in printed


@needs_nncf
def test_not_kept_where_it_is_not(
    glands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, untraced: None
) -> None:
    monkeypatch.setattr(int8, "MOST_LOST", -2.0)  # nothing can be so good
    bundle = find_bundle("sa2net")
    _, report = export_int8(bundle, glands / "data", glands / "model.pt", tmp_path / "small.xml")
    assert not report.passed
    assert list(tmp_path.iterdir()) == []


WRONG = [
    ["--to", "onnx", "--int8", "data"],
    ["--to", "openvino", "--int8", "data", "--half"],
    ["--to", "openvino", "--int8", "data", "--labels"],
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--bundle", "sa2net", *words])
    assert "--int8 goes with --to openvino, and without --half" in capsys.readouterr().err


def test_missing_packages(glands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(ImportError, match=r"needs onnx, onnxscript, openvino, nncf: pip install 'sa2_monai\[int8\]'"):
        export_int8(find_bundle("sa2net"), glands / "data", glands / "model.pt")
