# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai crossval``: folds, ensemble, table, resume, refusals."""

from __future__ import annotations

import json
import logging
import statistics
import sys
import types
from pathlib import Path
from typing import Any

import monai.bundle
import numpy as np
import pytest
from fire.parser import DefaultParseValue
from monai.utils import set_determinism
from PIL import Image

from sa2_monai.cli.crossval import _argument, summarize, table
from sa2_monai.cli.main import main
from sa2_monai.data import make_sample

SMALL = ("base_channels=4", "roi_size=[32, 32]", "batch_size=2", "num_workers=0", "device=cpu")
LEARNS = ("max_epochs=30", "learning_rate=2.0e-2")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crossval") / "sample"
    make_sample(folder, seed=0, num_training=4, num_validation=1, num_test=2, size=(48, 48))
    return folder


def crossval(sample: Path, out: Path, *more: str) -> int:
    return main(
        ["crossval", "--config", "sample", "--dataset-dir", str(sample), "--output", str(out), "--folds", "2", *more]
    )


class Runs:
    """Runs the bundle in this process, from the command line that would start another; counts."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, dict[str, Any]]] = []
        self.fail_at: int | None = None

    def __call__(self, command: list[str], check: bool) -> types.SimpleNamespace:
        assert command[:4] == [sys.executable, "-m", "monai.bundle", "run"]
        names = [word.removeprefix("--") for word in command[4::2]]
        values = dict(zip(names, map(DefaultParseValue, command[5::2]), strict=True))
        files = [Path(file).stem for file in values["config_file"]]
        self.steps.append(("-".join(files), values))
        if self.fail_at == len(self.steps):
            return types.SimpleNamespace(returncode=1)
        # MONAI has no parameter that would keep this quiet: it warns of every file that it was given.
        with pytest.warns(UserWarning, match="parsing config_file"):
            monai.bundle.run(**values, logging_file=False)
        return types.SimpleNamespace(returncode=0)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Any:
    counter = Runs()
    # Not subprocess.run itself, which others need too.
    monkeypatch.setattr("sa2_monai.cli.crossval.subprocess", types.SimpleNamespace(run=counter))
    level = logging.getLogger().level
    yield counter
    logging.getLogger().setLevel(level)
    set_determinism(None)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.integration
def test_two_folds_and_their_ensemble(sample: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert crossval(sample, out, *SMALL, *LEARNS) == 0
    printed = capfd.readouterr().out
    state = read(out / "crossval.json")

    # The splits: every training case validates once; the listed validation part is left out, the test part is whole.
    cases = {
        (fold, part): (out / "splits" / f"fold{fold}" / f"{part}.txt").read_text().split()
        for fold in range(2)
        for part in ("training", "validation", "test")
    }
    assert sorted(cases[0, "validation"] + cases[1, "validation"]) == sorted(
        Path(case["image"]).stem for case in read(sample / "dataset.json")["training"]
    )
    assert cases[0, "training"] == cases[1, "validation"]
    assert cases[0, "test"] == cases[1, "test"] == ["fluo_test_001", "he_test_000"]

    # The numbers are those of the reports, each of its own model.
    for fold in range(2):
        overall = read(out / f"fold{fold}" / "metrics_summary.json")["overall"]
        scores = state["folds"][str(fold)]
        assert scores["dice"] == overall["dice"]["mean_of_class_means"]
        assert scores["iou"] == overall["jaccard"]["mean_of_class_means"]
        record = read(out / f"fold{fold}" / "run.json")["configuration"]
        assert (record["fold"], record["max_epochs"]) == (fold, 30)
        assert read(out / "models" / f"fold{fold}" / "model.json")["sha256"] == scores["model_sha256"]
    dice = [state["folds"][str(fold)]["dice"] for fold in range(2)]
    assert dice[0] != dice[1]
    assert min(dice) > 0.1
    assert state["summary"]["dice"]["mean"] == pytest.approx(statistics.mean(dice))
    assert state["summary"]["dice"]["std"] == pytest.approx(statistics.stdev(dice))
    assert state["ensemble"]["dice"] > 0.1
    assert f"ensemble    {state['ensemble']['dice']:.4f}  {state['ensemble']['iou']:.4f}" in printed
    assert printed.count(f"{sys.executable} -m monai.bundle run --config_file") == 5


def test_resume_skips_what_is_finished(
    sample: Path, tmp_path: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = (*SMALL, "max_epochs=1")
    runs.fail_at = 3  # the training of the second fold
    assert crossval(sample, out, *arguments) == 1
    assert "the training of fold 1 failed with exit code 1" in capsys.readouterr().err
    assert [name for name, _ in runs.steps] == ["train-sample", "train-sample-evaluate", "train-sample"]
    assert list(read(out / "crossval.json")["folds"]) == ["0"]

    assert crossval(sample, out, *arguments) == 1
    assert "Go on with --resume" in capsys.readouterr().err

    runs.steps, runs.fail_at = [], None
    assert crossval(sample, out, *arguments, "--resume") == 0
    assert "fold 0 is finished and skipped: Dice " in capsys.readouterr().out
    assert [(name, values.get("fold")) for name, values in runs.steps] == [
        ("train-sample", 1),
        ("train-sample-evaluate", 1),
        ("train-sample-evaluate-ensemble", None),
    ]
    assert runs.steps[0][1]["resume"] is True

    runs.steps = []
    assert crossval(sample, out, *arguments, "--resume") == 0
    assert runs.steps == []
    assert "ensemble" in capsys.readouterr().out

    # A model that is not the one that was scored is trained on and scored again, and so is the ensemble.
    (out / "models" / "fold0" / "model.pt").unlink()
    (out / "models" / "fold0" / "last.pt").unlink()
    assert crossval(sample, out, *arguments, "--resume") == 0
    assert [values.get("fold") for _, values in runs.steps] == [0, 0, None]
    capsys.readouterr()

    for wrong, message in (
        (("--seed", "7"), "seed is 7, was 999"),
        (("--paper",), "paper is True, was False"),
        (("overlap=0.75",), "overrides is {"),
    ):
        assert crossval(sample, out, "--resume", *wrong, *arguments) == 1
        assert message in capsys.readouterr().err

    (out / "splits" / "fold1" / "training.txt").write_text("another\n")
    assert crossval(sample, out, *arguments, "--resume") == 1
    error = capsys.readouterr().err
    assert f"{out / 'splits' / 'fold1' / 'training.txt'} lists other cases than" in error


def test_the_published_protocol(tmp_path: Path, runs: Runs) -> None:
    """MoNuSeg in the prepared layout: scores on the network's grid, and Dice of the ensemble with one added."""
    rng = np.random.default_rng(0)
    for part, count in (("Train", 4), ("Test", 2)):
        for kind in ("img", "labelcol"):
            (tmp_path / "data" / f"{part}_Folder" / kind).mkdir(parents=True)
        for index in range(count):
            mask = np.zeros((60, 50), dtype=np.uint8)
            mask[10 + 4 * index : 40, 8:30] = 255
            image = np.where(mask[:, :, None] > 0, [60, 30, 120], [220, 190, 230]) + rng.integers(0, 20, (60, 50, 3))
            Image.fromarray(image.astype(np.uint8)).save(
                tmp_path / "data" / f"{part}_Folder" / "img" / f"{index}{part}.png"
            )
            Image.fromarray(mask).save(tmp_path / "data" / f"{part}_Folder" / "labelcol" / f"{index}{part}.png")
    out = tmp_path / "out"
    arguments = ["--config", "monuseg", "--dataset-dir", str(tmp_path / "data"), "--output", str(out), "--folds", "2"]
    assert main(["crossval", *arguments, "--paper", *SMALL, *LEARNS]) == 0
    assert [name for name, _ in runs.steps] == [
        *["train-monuseg-paper", "train-monuseg-paper-evaluate-evaluate_paper"] * 2,
        "train-monuseg-paper-evaluate-evaluate_paper-ensemble",
    ]
    state = read(out / "crossval.json")
    for fold in range(2):
        summary = read(out / f"fold{fold}" / "metrics_summary.json")
        assert summary["protocol"]["family"] == "image"
        assert summary["protocol"]["plus_one"] is False
        assert summary["protocol"]["grid"] == [32, 32]
        assert (
            state["folds"][str(fold)] | {"dice": summary["paper"]["dice"], "iou": summary["paper"]["iou"]}
            == (state["folds"][str(fold)])
        )
        assert summary["paper"]["dice"] > 0.2
    summary = read(out / "ensemble" / "metrics_summary.json")
    assert (summary["protocol"]["family"], summary["protocol"]["plus_one"]) == ("image_ensemble", True)
    assert state["ensemble"]["dice"] == summary["paper"]["dice"] > 0.2
    # The images are blue-green-red, as published, and the weights say so.
    assert read(out / "models" / "fold0" / "model.json")["channel_order"] == "BGR"
    with Image.open(out / "ensemble" / "predictions" / "0Test.png") as picture:
        assert picture.size == (32, 32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["max_epoch=3"], "the bundle has no max_epoch"),
        (["train#trainr#max_epochs=3", "epochs=2"], "the bundle has no epochs"),
        (["fold=1"], "fold is set by the command itself"),
        (["max_epochs"], "expected ID=VALUE, got 'max_epochs'"),
        (["roi_size=[32"], "roi_size=[32: the value is no YAML"),
        (["--folds", "1"], "--folds is 1, expected at least 2"),
        (["--config", "nowhere"], "--config nowhere: neither an overlay of"),
        (["--config", "evaluate"], "--config evaluate: this file is used anyway"),
    ],
)
def test_wrong_use(
    arguments: list[str], message: str, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        crossval(sample, tmp_path / "out", *arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bad_data(sample: Path, tmp_path: Path, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert crossval(tmp_path / "nowhere", out) == 1
    assert f"{tmp_path / 'nowhere'}: no such folder" in capsys.readouterr().err
    assert crossval(sample, out, "--folds", "9") == 1
    assert "are too few for 9 folds" in capsys.readouterr().err
    assert main(["crossval", "--bundle", str(tmp_path), "--dataset-dir", str(sample), "--output", str(out)]) == 1
    assert f"{tmp_path} is not a bundle" in capsys.readouterr().err
    (tmp_path / "configs").mkdir()
    assert main(["crossval", "--bundle", str(tmp_path), "--dataset-dir", str(sample), "--output", str(out)]) == 1
    assert "has no train.yaml, which a cross-validation needs" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert crossval(sample, tmp_path / "file" / "out") == 1
    assert "cannot write to the output folder" in capsys.readouterr().err
    assert runs.steps == []
    assert not (out / "crossval.json").exists()


@pytest.mark.parametrize(
    "value",
    ["/tmp/a b", "cpu", "1e-3", "a,b", "a#b", "None", "$len(@x)", "-x", 3, 0.5, None, True, [32, 32], {"a": "b"}],
)
def test_values_survive_the_command_line(value: Any) -> None:
    assert DefaultParseValue(_argument(value)) == value


def test_undefined_scores() -> None:
    assert summarize([{"dice": 0.5, "iou": None}]) == {
        "dice": {"mean": 0.5, "std": None},
        "iou": {"mean": None, "std": None},
    }
    assert summarize([])["dice"] == {"mean": None, "std": None}
    state = {
        "configuration": {"paper": True},
        "folds": {"10": {"dice": 0.5, "iou": None}, "9": {"dice": 0.25, "iou": None}},
        "summary": summarize([{"dice": 0.5, "iou": None}, {"dice": 0.25, "iou": None}]),
        "ensemble": {"dice": 0.75, "iou": None, "cases": 3},
    }
    lines = table(state).splitlines()
    assert [line.split() for line in lines[1:6]] == [
        ["fold", "9", "0.2500", "-"],
        ["fold", "10", "0.5000", "-"],
        ["mean", "0.3750", "-"],
        ["sd", "0.1768", "-"],
        ["ensemble", "0.7500", "-"],
    ]
    assert lines[6] == "Test cases: 3; protocol: paper."
