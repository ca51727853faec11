# SPDX-License-Identifier: Apache-2.0
"""The option ``--max-voxels`` of the commands that read files."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.cli.machine_options.max_voxels import READING
from sa2_monai.cli.main import COMMANDS, main
from sa2_monai.io.limits.voxels import MAX_VOXELS


def test_of_known_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(READING) < {command.name for command in COMMANDS}
    for command in COMMANDS:
        importlib.import_module(command.module)
        with pytest.raises(SystemExit):
            main([command.name, "--help"])
        assert ("--max-voxels N" in capsys.readouterr().out) == (command.name in READING)


def test_a_file_beyond_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MAX_VOXELS, raising=False)
    for folder in ("p", "r"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.ones((20, 30), np.uint8)).save(tmp_path / folder / "a.png")
    words = ["evaluate", "-p", f"{tmp_path}/p", "-r", f"{tmp_path}/r", "--bootstrap", "2", "--max-voxels"]
    assert main([*words, "599"]) == 1
    assert "asks for 20 x 30 x 1 = 600 voxels (0.0 GiB), allowed are 599" in capsys.readouterr().err
    assert MAX_VOXELS not in os.environ
    assert main([*words, "600"]) == 0
    for text in ("0", "-1", "many"):
        with pytest.raises(SystemExit) as found:
            main([*words, text])
        assert found.value.code == 2


@pytest.mark.parametrize("front", [True, False])
def test_of_an_action(tmp_path: Path, capsys: pytest.CaptureFixture[str], front: bool) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.ones((20, 30), np.uint8)).save(tmp_path / folder / "a.png")
    option, action = ["--max-voxels", "599"], ["check", "folder", str(tmp_path)]
    assert main(["datasets", *(option + action if front else action + option)]) == 1
    out = capsys.readouterr()
    assert "allowed are 599" in out.out + out.err
