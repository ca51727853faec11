# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai plan``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml

from sa2_monai.cli.main import main

GIVEN = ["max_epochs=8", "slices_per_epoch=null"]


def test_a_plan_is_printed_and_written(sample_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "plans" / "plan.yaml"
    words = ["plan", str(sample_dir), "--device", "cpu", "--output", str(target), *GIVEN]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "sa2net" in printed.splitlines()[0]
    values = yaml.safe_load(target.read_text())
    assert (values["kind"], values["class_names"]) == ("images", ["background", "nucleus"])
    assert "max_epochs" not in values
    assert json.loads((target.parent / "fingerprint.json").read_text())["counts"]["training"] == 8
    following = shlex.split(printed.splitlines()[-1])
    assert following[:5] == ["sa2-monai", "train", str(sample_dir), "--network", "sa2net"]
    assert following[5:7] == ["--config", str(target)]
    assert following[-2:] == GIVEN


def test_without_a_file_nothing_is_written(
    sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan", str(sample_dir), "--network", "svanet", "--device", "cpu", "--time", "3", *GIVEN]) == 0
    assert list(tmp_path.iterdir()) == []
    assert "--time 3" in capsys.readouterr().out.splitlines()[-1]


# words -> exit code, in the message
WRONG = [
    (["--network", "vnet"], 2, "the network is 'vnet': vnet: no such bundle. Give the folder"),
    (["--time", "0"], 2, "--time is 0, expected minutes above 0"),
    (["--device", "cpu", "bathc_size=3"], 2, "bathc_size is no switch of this configuration"),
    (["batch_size", "--device", "cpu"], 2, "expected ID=VALUE, got 'batch_size'"),
    (["--nonsense"], 2, "unrecognized arguments: --nonsense"),
]


@pytest.mark.parametrize(("words", "code", "told"), WRONG)
def test_wrong_use(
    words: list[str], code: int, told: str, sample_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(sample_dir), *words])
    assert ended.value.code == code
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_no_such_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(tmp_path / "nothing")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "nothing: no such file or folder" in lines[0]
