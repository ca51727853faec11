# SPDX-License-Identifier: Apache-2.0
"""A comparison from the first training to the report: interrupted, gone on with, one consistent end."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sa2_monai.bundle.comparison.request import CompareRequest
from sa2_monai.bundle.comparison.run import compare_networks
from tests.support.narrow import WIDTH
from tests.support.programs import run_program
from tests.support.report_pages import Page

NETWORKS = ("sa2net", "daeformer")


class Killed(BaseException):
    """In the place of a signal that nothing can catch."""


class Programs:
    """In the place of the launcher's processes: runs a program to its end at once; remembers its command."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.kill_at: int | None = None
        self.fail: str | None = None

    def __call__(self, command: Sequence[str], environment: Mapping[str, str], log: Path | None = None) -> Any:
        self.commands.append(" ".join(command))
        if self.kill_at == len(self.commands):
            raise Killed
        if self.fail is not None and self.fail in self.commands[-1]:
            return Ended(1)
        done = run_program(command)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return Ended(done.returncode)


class Ended:
    """What the launcher uses of a process."""

    def __init__(self, code: int) -> None:
        self.code = code

    def wait(self, _: float) -> int:
        return self.code


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images with a bright disc each; no test part is held out."""
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    rows, columns = np.indices((32, 32))
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for index in range(10):
        disc = (rows - 10 - index % 3 * 5) ** 2 + (columns - 16) ** 2 < 40
        image = (60 + 120 * disc + rng.integers(0, 40, (32, 32))).astype(np.uint8)
        Image.fromarray(np.repeat(image[:, :, None], 3, axis=2)).save(folder / "images" / f"c{index}.png")
        Image.fromarray((255 * disc).astype(np.uint8)).save(folder / "masks" / f"c{index}.png")
    return folder


def request(data: Path, output: Path, *networks: str, **more: Any) -> CompareRequest:
    """A comparison of seconds."""
    narrow = {f"{name}.{switch}": value for name in networks for switch, value in WIDTH[name].items()}
    small = {"max_epochs": 2, "roi_size": [32, 32], "batch_size": 2, "num_workers": 0, "load_datalist#test_fraction": 0}
    overrides = {**small, **narrow, **more.pop("overrides", {})}
    return CompareRequest(data, output, networks, overrides=overrides, folds=2, device="cpu", **more)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    found = Programs()
    monkeypatch.setattr("sa2_monai.bundle.launch.run.start_process", found)
    return found


@pytest.mark.integration
def test_interrupted_and_gone_on_with(
    data: Path, tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    from sa2_monai.bundle.planning import make

    measure = make.measure_fingerprint
    monkeypatch.setattr(make, "measure_fingerprint", lambda *args: measured.append(args) or measure(*args))
    out = tmp_path / "out"
    wanted = request(data, out, *NETWORKS)
    for kill_at in (2, 7):  # while the first network trains, and the second one
        programs.kill_at = kill_at
        with pytest.raises(Killed):
            compare_networks(wanted)
        assert not (out / "report.html").exists()
    assert len(measured) == 1 + 1  # once by each program that plans
    programs.kill_at = None
    document = compare_networks(wanted)

    # Each program was run once, apart from the two that were killed.
    assert len(programs.commands) - len(set(programs.commands)) <= 2
    trainings = [command for command in programs.commands if " train " in command]
    assert len(trainings) <= 2 * 2 + 2

    # Both networks had the same cases, folds and seed.
    splits = [
        {file.relative_to(out / name).as_posix(): file.read_text() for file in (out / name / "splits").rglob("*.txt")}
        for name in NETWORKS
    ]
    assert splits[0] == splits[1]
    assert len(splits[0]) >= 4
    configs = [json.loads((out / name / "fold0" / "configs" / "train.json").read_text()) for name in NETWORKS]
    assert {config["seed"] for config in configs} == {999}
    assert {config["select"] for config in configs} == {"last"}

    # The scores are those of the cases, by independent code.
    with open(out / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 10
    for name in NETWORKS:
        own = {row["case"]: row for row in rows if row["network"] == name}
        assert set(own) == {f"c{index}" for index in range(10)}
        dice = []
        for case, row in own.items():
            reference = np.asarray(Image.open(data / "masks" / f"{case}.png")) > 0
            prediction = np.asarray(Image.open(out / name / "out_of_fold" / "predictions" / f"{case}.png")) > 0
            dice.append(2 * np.sum(reference & prediction) / (np.sum(reference) + np.sum(prediction)))
            assert float(row["dice"]) == pytest.approx(dice[-1], abs=1e-9)
        scores = document["networks"][name]["scores"]
        assert scores["overall"]["dice"]["mean"] == pytest.approx(np.mean(dice), abs=1e-9)
        assert [run["epochs"] for run in document["networks"][name]["runs"]] == [2, 2]
    (pair,) = document["pairs"]
    means = [document["networks"][name]["scores"]["overall"]["dice"]["mean"] for name in NETWORKS]
    assert pair["overall"]["dice"]["difference"] == pytest.approx(means[0] - means[1])
    assert pair["overall"]["dice"]["p_holm"] == pair["overall"]["dice"]["p_value"]  # one comparison

    # Costs of both, on the same cases.
    assert len(document["costs"]["cases"]) == 6
    for name in NETWORKS:
        costs = document["costs"]["networks"][name]
        assert min(costs["seconds"], costs["macs"]) > 0
        assert costs["size"] == [32, 32]
        assert costs["parameters"] == parameters_of(out / name / "fold0")

    # All files say the same.
    assert json.loads((out / "compare.json").read_text()) == document
    sentence = document["recommendation"]["sentences"][0]
    assert sentence in (out / "table.txt").read_text().replace("\n", " ")
    text = Page((out / "report.html").read_text()).text
    assert sentence in text
    assert all(f"{name}, Dice" in text for name in NETWORKS)

    # The same again: nothing is trained or measured, and the result is the same.
    count = len(programs.commands)
    assert compare_networks(wanted) == document
    assert len(programs.commands) == count

    with pytest.raises(ValueError, match=r"compare\.json was begun with other settings: seed is 1, was 999"):
        compare_networks(request(data, out, *NETWORKS, seed=1))


def parameters_of(run: Path) -> int:
    """Elements of all tensors of the weights but the statistics of normalisations."""
    tensors = torch.load(run / "models" / "model.pt", weights_only=True)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(statistics))
