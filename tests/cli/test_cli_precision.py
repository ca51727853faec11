# SPDX-License-Identifier: Apache-2.0
"""``--precision`` and ``--parity`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.bundle.prediction.arrays import read_prediction
from sa2_monai.bundle.prediction.parity import agreement
from sa2_monai.cli import main
from sa2_monai.networks.precision import choose
from tests.support.small_models import GLANDS, HEART


@pytest.fixture(autouse=True)
def _any_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choose.ANYWAY, "1")


def predict(samples: Path, kind: str, out: Path, *options: str) -> int:
    inputs = str(samples / kind / "images")
    words = ["--weights", str(samples / f"{kind}.pt"), "--output", str(out), "--device", "cpu", *options]
    return main(["predict", inputs, *words])


def summary(out: Path) -> dict[str, Any]:
    return json.loads((out / "predict_summary.json").read_text())


@pytest.mark.parametrize(("kind", "classes"), [("images", GLANDS), ("volumes", HEART)])
def test_parity(
    kind: str, classes: dict[str, Any], samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(samples, kind, tmp_path, "--precision", "bf16", "--parity") == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("parity of bf16, eager with fp32, eager on ")]
    found = summary(tmp_path)
    assert found["settings"]["options"]["precision"] == "bf16"
    parity = found["parity"]
    assert list(parity) == ["case", "equal", "dice", "setting", "reference"]
    assert (parity["setting"], parity["reference"]) == (
        {"precision": "bf16", "runtime": "eager"},
        {"precision": "fp32", "runtime": "eager"},
    )
    assert list(parity["dice"]) == classes["class_names"][1:]
    here = read_prediction(next((tmp_path / "predictions").glob(f"{parity['case']}.*")))
    assert f"{parity['equal']:.2%} of voxels equal" in line
    written = len([line for line in lines if " -> " in line])
    assert written == found["finished"], "the second prediction has no lines of its own"
    assert predict(samples, kind, tmp_path, "--precision", "bf16") == 0
    assert summary(tmp_path)["parity"] == parity, "kept by a later run with the same settings"
    assert predict(samples, kind, tmp_path) == 0
    there = read_prediction(next((tmp_path / "predictions").glob(f"{parity['case']}.*")))
    assert parity["equal"] == pytest.approx((here == there).mean(), abs=1e-12)
    assert parity["equal"] > 0.5
    assert "parity" not in summary(tmp_path)
    assert summary(tmp_path)["settings"]["options"]["precision"] == "fp32"


def test_the_reference_has_nothing_to_be_compared_with(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(samples, "images", tmp_path, "--parity") == 0
    assert "parity: nothing to compare, these are the reference's own settings (fp32" in capsys.readouterr().out
    assert "parity" not in summary(tmp_path)


def test_auto_is_decided_before_the_batch(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "bf16_units", lambda: ["amx_bf16"])
    choose._tell.cache_clear()
    assert predict(samples, "images", tmp_path, "--precision", "auto") == 0
    assert summary(tmp_path)["settings"]["options"]["precision"] == "bf16"
    assert capsys.readouterr().out.count("precision: bf16 (auto: this processor has amx_bf16)") == 1


@pytest.mark.parametrize(("precision", "message"), [("bf16", "no bfloat16 units were found"), ("fp16", "is a CPU")])
def test_refusals(
    precision: str,
    message: str,
    samples: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(choose.ANYWAY)
    monkeypatch.setattr(choose, "bf16_units", list)
    assert predict(samples, "images", tmp_path / "out", "--precision", precision) != 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert not (tmp_path / "out" / "predictions").exists()


def test_evaluation_without_a_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--predictions", "a", "--references", "b", "--precision", "bf16"])
    assert "--precision: only with --bundle" in capsys.readouterr().err


def test_agreement() -> None:
    one, other = np.array([[0, 1, 1, 2]]), np.array([[0, 1, 2, 2]])
    equal, dice = agreement(one, other, ["background", "a", "b", "c"])
    assert equal == 0.75
    assert dice == {"a": pytest.approx(2 / 3), "b": pytest.approx(2 / 3), "c": None}
    with pytest.raises(ValueError, match=r"the shapes \(1, 4\) and \(2, 4\)"):
        agreement(one, np.vstack([other, other]), ["background", "a"])
