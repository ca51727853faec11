# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai bundles``: the list, and copies whose printed command runs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from sa2_monai.bundle import find_bundle
from sa2_monai.cli.main import main
from sa2_monai.networks.catalogue import CATALOGUE
from tests.support.programs import run_program

# Name of the copy; how the printed command quotes the configurations.
COPIES = [("mine", '"['), ("my $copy", "'[")]


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundles"]) == 0
    text = capsys.readouterr().out
    assert main(["bundles", "list"]) == 0
    assert capsys.readouterr().out == text
    for name in CATALOGUE:
        assert f"{name}: " in text
        assert f"\n  {find_bundle(name)}\n" in text
    assert "\n  overlays: acdc, acdc_archive, folder, glas, " in text
    assert max(map(len, text.splitlines())) <= 120
    assert main(["bundles", "list", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(CATALOGUE)


@pytest.mark.parametrize(("name", "quotes"), COPIES)
@pytest.mark.integration
def test_the_next_command_runs_as_printed(
    name: str,
    quotes: str,
    sample_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bundles", "copy", "sa2net", name]) == 0
    first, following = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{name}: ")
    assert following.startswith("Next:  ")
    assert f"--config_file {quotes}" in following
    words = shlex.split(following.removeprefix("Next:  "))
    assert words[-1] == "DATA"
    short = ["--max_epochs", "1", "--base_channels", "4", "--roi_size", "[32,32]", "--num_workers", "0"]
    done = run_program([*words[:-1], str(sample_dir), *short], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name / "models" / "model.pt").is_file()


def test_failures_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bundles", "copy", "sanet", "mine"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("sa2-monai bundles: error: sanet: no such bundle; the package has daeformer, ")
    assert error.count("\n") == 1
    assert main(["bundles", "copy", "sa2net", "mine"]) == 0
    capsys.readouterr()
    assert main(["bundles", "copy", "sa2net", "mine"]) == 1
    assert "mine is not empty" in capsys.readouterr().err
    assert main(["bundles", "copy", "sa2net", "mine", "--force"]) == 0
