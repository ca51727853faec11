# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai crossval``: every case scored by the model that has not seen it, also after interruptions."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crossval_runs import Ended, Runs
from PIL import Image

from sa2_monai.bundle.crossval.out_of_fold import read_out_of_fold
from sa2_monai.bundle.crossval.request import CrossvalRequest
from sa2_monai.cli.main import main
from sa2_monai.data.layouts.fold_list import read_fold_list

SMALL = ("base_channels=4", "roi_size=[32, 32]", "batch_size=2", "num_workers=0", "device=cpu", "max_epochs=8")
SMALL += ("val_interval=8", "learning_rate=2.0e-2", "patient_pattern=p\\d", "load_datalist#test_fraction=0")


class Interrupted(Runs):
    """Is killed at one step after the other: nothing of what the launcher would do then is done."""

    stop_at: int | None = None

    def __call__(self, command: list[str], *more: Any) -> Ended:
        if self.stop_at == len(self.steps):
            raise KeyboardInterrupt
        return super().__call__(command, *more)


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images of four patients, no test part: dark cells on light ground."""
    folder = tmp_path_factory.mktemp("patients")
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for index in range(8):
        mask = np.zeros((36, 40), bool)
        mask[4 + index : 20 + index, 6 : 16 + 2 * index] = True
        image = np.where(mask[..., None], [90, 40, 120], [230, 200, 220]) + rng.integers(-20, 20, (36, 40, 3))
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"p{index // 2}_{index}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "labels" / f"p{index // 2}_{index}.png")
    return folder


@pytest.fixture(scope="module")
def out(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crossval") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sa2_monai.bundle.launch.run.start_process", Runs())
        assert main(words(patients, folder)) == 0
    return folder


def words(data: Path, folder: Path) -> list[str]:
    return ["crossval", str(data), "--config", "folder", "--output", str(folder), "--folds", "2", *SMALL]


def independent(data: Path, out: Path) -> tuple[list[str], np.ndarray]:
    """Dice of each case from the files alone."""
    names, dices = [], []
    for file in sorted((out / "out_of_fold" / "predictions").glob("*.png")):
        prediction, label = (np.asarray(Image.open(path)) > 0 for path in (file, data / "labels" / file.name))
        names.append(file.stem)
        dices.append(2 * (prediction & label).sum() / (prediction.sum() + label.sum()))
    return names, np.asarray(dices)


def test_every_case_once(patients: Path, out: Path) -> None:
    names, dices = independent(patients, out)
    assert names == [file.stem for file in sorted((patients / "images").iterdir())]
    result = read_out_of_fold(out)
    assert [row["case"] for row in result.per_case] == names
    assert np.abs([row["dice"] for row in result.per_case] - dices).max() < 1e-9
    state = json.loads((out / "crossval.json").read_text())
    assert abs(state["out_of_fold"]["dice"] - dices.mean()) < 1e-9
    assert dices.max() > 0.2
    for fold, (_, held_out) in enumerate(read_fold_list(out / "splits" / "folds.json")):
        listed = (out / "splits" / f"fold{fold}" / "validation.txt").read_text().split()
        assert listed == held_out == [row["case"] for row in result.per_case if row["fold"] == fold]
        own = dices[[names.index(name) for name in held_out]]
        assert abs(state["out_of_fold"]["folds"][fold]["dice"] - own.mean()) < 1e-9
        # Patients are not divided, and nothing but the held-out cases was out of the training.
        assert len({name[:2] for name in held_out}) == 2
        record = json.loads((out / f"fold{fold}" / "eval" / "run.json").read_text())
        assert record["inputs"]["count"] == 4


def test_intervals_draw_patients(patients: Path, out: Path) -> None:
    """The bootstrap of the specification, written down once more: patients are drawn, and all cases of each count."""
    names, dices = independent(patients, out)
    result = read_out_of_fold(out)
    overall = result.summary["overall"]["dice"]
    assert result.groups == {name: name[:2] for name in names}
    assert result.summary["protocol"]["bootstrap"] == {"samples": 2000, "seed": 0, "unit": "group"}
    means = dices.reshape(4, 2).mean(axis=1)
    assert means.min() <= overall["ci95_low"] <= overall["mean_of_class_means"] <= overall["ci95_high"] <= means.max()
    with open(out / "out_of_fold" / "metrics_per_patient.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["patient"] for row in rows] == ["p0", "p1", "p2", "p3"]
    assert np.abs([float(row["dice"]) for row in rows] - means).max() < 1e-9
    prediction, reference = result.load(names[0])
    assert prediction.shape == reference.shape == (36, 40)


def test_without_a_test_part(out: Path, capsys: pytest.CaptureFixture[str], patients: Path) -> None:
    """The same command again has nothing to do, and says all of it."""
    before = (out / "crossval.json").read_bytes()
    assert main(words(patients, out)) == 0
    printed = capsys.readouterr().out
    assert "There is no test part; protocol: clinical." in printed
    assert "each of 8 cases once, by the model that has not seen it" in printed
    assert "drawn by group" in printed
    assert f"Report:  {out / 'out_of_fold' / 'report.html'}" in printed
    assert not (out / "ensemble").exists()
    assert (out / "crossval.json").read_bytes() == before
    assert json.loads(before)["ensemble"] is None
    card = (out / "fold0" / "docs" / "README.md").read_text()
    assert "have not been evaluated on test cases" in card


def test_interrupted_again_and_again(
    patients: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped before each step in turn, the same command ends with the same result."""
    runs = Interrupted()
    monkeypatch.setattr("sa2_monai.bundle.launch.run.start_process", runs)
    again = tmp_path / "out"
    for stop in range(4):
        runs.stop_at = stop
        assert main(words(patients, again)) == 130
        assert capsys.readouterr().err.strip().splitlines()[-1] == (
            "sa2-monai crossval: stopped; the same command goes on"
        )
    runs.stop_at = None
    assert main(words(patients, again)) == 0
    assert [name for name, _ in runs.steps] == ["train", "evaluate"] * 2
    states = [json.loads((folder / "crossval.json").read_text()) for folder in (out, again)]
    assert states[0] == states[1]
    for file in (out / "out_of_fold" / "predictions").iterdir():
        assert file.read_bytes() == (again / "out_of_fold" / "predictions" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--devices", "cuda:0,gpu"], "--devices has 'gpu', expected cpu, cuda or cuda:N"),
        (["--devices", ""], "--devices is empty"),
        (["--jobs", "0"], "--jobs is 0, expected at least 1"),
        (["--devices", "cpu", "--device", "cpu"], "give --device or --devices, not both"),
        (["--devices", "cpu", "--jobs", "2"], "not allowed with argument"),
    ],
)
def test_devices(more: list[str], message: str, patients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*words(patients, Path("nowhere")), *more])
    assert message in capsys.readouterr().err


def test_a_list_of_folds_of_ones_own(patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folds.json").write_text(json.dumps([{"train": [], "val": []}] * 3))
    assert main([*words(patients, tmp_path / "out"), f"split={tmp_path / 'folds.json'}"]) == 1
    assert "--folds is 2, but" in capsys.readouterr().err


def test_request() -> None:
    assert CrossvalRequest("data", "out", devices=["cpu", "cpu"]).devices == ["cpu", "cpu"]
