# SPDX-License-Identifier: Apache-2.0
"""A foreign bundle that goes beyond the allowed is refused by all that would run it, and runs with ``--trust``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle import export_network, package_bundle
from sa2_monai.bundle.packaging.zipping import zip_folder
from sa2_monai.bundle.trust.consent import UntrustedBundleError
from sa2_monai.bundle.workflow import run_workflow
from sa2_monai.cli.main import COMMANDS, main
from tests.cli.mini_bundle import make_bundle, read_config, write_config


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A bundle that writes the file ``done`` beside it when its network, or anything of a training, is built."""
    bundle = make_bundle(tmp_path / "hostile", {"network": "sa2net", "class_names": ["background", "object"]})
    evil = f"$__import__('pathlib').Path({str(tmp_path / 'done')!r}).write_text('abc')"
    config = {**read_config(bundle), "in_channels": evil}
    write_config(bundle, config)
    for stem in ("train", "evaluate", "ensemble"):
        more = {"dataset_dir": evil, "layout": "folder", "kind": "images", "model_info": {"network": "sa2net"}}
        (bundle / "configs" / f"{stem}.yaml").write_text(yaml.safe_dump({**config, **more}))
    for folder in ("images", "labels"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(np.eye(16, dtype=np.uint8) * 255).save(tmp_path / "data" / folder / f"{number}.png")
    return bundle


# Words behind the command and "--bundle BUNDLE"; DATA and OUT are folders.
COMMAND_CASES = {
    "predict": ["DATA/images", "--output", "OUT"],
    "evaluate": ["--data", "DATA", "--output", "OUT"],
    "instances": ["--data", "DATA"],
    "calibrate": ["--data", "DATA"],
    "stress": ["--data", "DATA", "--output", "OUT"],
    "export": ["--to", "torchscript"],
    "package": ["--output", "OUT"],
    "train": ["DATA", "--output", "OUT"],
    "plan": ["DATA"],
    "crossval": ["DATA", "--output", "OUT"],
    "compare": ["DATA", "--output", "OUT"],
}
_OPTION = {"train": "--network", "plan": "--network", "crossval": "--network", "compare": "--networks"}


def _words(command: str, bundle: Path) -> list[str]:
    places = {"DATA": str(bundle.parent / "data"), "OUT": str(bundle.parent / "out")}
    words = [word.replace("DATA", places["DATA"]).replace("OUT", places["OUT"]) for word in COMMAND_CASES[command]]
    return [command, *words, _OPTION.get(command, "--bundle"), str(bundle)]


def test_all_commands_that_run_bundles_are_listed() -> None:
    assert set(COMMAND_CASES) == {command.name for command in COMMANDS if command.runs_bundles}


@pytest.mark.parametrize("command", COMMAND_CASES)
def test_commands_refuse_it(command: str, hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_words(command, hostile)) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert "goes beyond the components and expressions of this package: " in said[-1]
    assert "$__import__(" in said[-1]
    assert f"'sa2-monai inspect {hostile}'" in said[-1]
    assert "--trust" in said[-1]
    assert not (hostile.parent / "done").exists()


def test_it_runs_with_trust(hostile: Path) -> None:
    assert main([*_words("predict", hostile), "--trust"]) == 0
    assert (hostile.parent / "done").read_text() == "abc"
    assert main(_words("predict", hostile)) == 1  # for that one time


PYTHON: dict[str, Callable[[Path, bool], Any]] = {
    "load_bundle": lambda bundle, trust: load_bundle(bundle, device="cpu", trust=trust).network(),
    "export_network": lambda bundle, trust: export_network(bundle, trust=trust),
    "package_bundle": lambda bundle, trust: package_bundle(
        bundle, bundle / "models" / "model.pt", bundle.parent / "out", trust=trust
    ),
}


@pytest.mark.parametrize("name", PYTHON)
def test_python_refuses_it(name: str, hostile: Path) -> None:
    with pytest.raises(UntrustedBundleError, match="trust=True in Python"):
        PYTHON[name](hostile, False)
    assert not (hostile.parent / "done").exists()
    with contextlib.suppress(Exception):  # as a source of packages it lacks nearly everything
        PYTHON[name](hostile, True)
    assert (hostile.parent / "done").exists()


def test_a_zip_file_is_named(hostile: Path) -> None:
    archive = hostile.parent / "b.zip"
    zip_folder(hostile, archive)
    with pytest.raises(UntrustedBundleError, match=f"^{archive} is not run unasked.* inspect {archive}'"):
        load_bundle(archive, device="cpu").network()


def _code(bundle: Path) -> None:
    (bundle / "scripts").mkdir()
    (bundle / "scripts" / "network.py").touch()


def _metadata(bundle: Path) -> None:
    file = bundle / "configs" / "metadata.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "net": {"_target_": "os.system"}}))


def _expression(bundle: Path) -> None:
    write_config(bundle, {**read_config(bundle), "run": ["$@evaluator.run()", "$print(1)"]})


# Changes to a good bundle: what the refusal, and 'sa2-monai inspect', says of it.
CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "code beside it": (_code, "scripts/network.py: Python code"),
    "its metadata": (_metadata, "net#_target_: os.system"),
    "an expression": (_expression, "run#1: $print(1)"),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=list(CHANGES))
def test_each_part_of_a_bundle(
    change: Callable[[Path], None], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, image = make_bundle(tmp_path / "b"), tmp_path / "a.png"
    Image.fromarray(np.full((16, 16, 3), 255, np.uint8)).save(image)
    words = ["predict", str(image), "--bundle", str(bundle), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    change(bundle)
    capsys.readouterr()
    assert main([*words, "--again"]) == 1
    assert said in capsys.readouterr().err
    assert main(["inspect", str(bundle)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "needs --trust" in line]
    assert line.endswith(said)
    assert main([*words, "--again", "--trust"]) == 0


@pytest.mark.parametrize("option", ["overlay", "tracking"])
def test_files_beside_a_bundle_of_the_package(option: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("layout: folder\nloss: {_target_: os.system, command: id}\n")
    config = Path(load_bundle("sa2net", device="cpu").root) / "configs" / "train.yaml"
    files, tracking = ([config, file], None) if option == "overlay" else ([config], str(file))
    with pytest.raises(UntrustedBundleError, match=rf"^{file} is not run unasked.*loss#_target_: os.system"):
        run_workflow(files, {}, "train", tracking=tracking)
