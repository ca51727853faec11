# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai crossval``: folds, ensemble, table, resume, refusals."""

from __future__ import annotations

import json
import statistics
import sys
import types
from pathlib import Path
from typing import Any

import monai.bundle
import numpy as np
import pytest
from fire.parser import DefaultParseValue
from PIL import Image

from sa2_monai.cli.main import main
from sa2_monai.data import ACDC_SPLITS, make_sample
from tests.support.programs import run_program

SMALL = ("base_channels=4", "roi_size=[32, 32]", "batch_size=2", "num_workers=0", "device=cpu")
LEARNS = ("max_epochs=30", "learning_rate=2.0e-2")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crossval") / "sample"
    make_sample(folder, seed=0, num_training=4, num_validation=1, num_test=2, size=(48, 48))
    return folder


def command_line(sample: Path, out: Path, *more: str) -> list[str]:
    return ["crossval", "--config", "sample", "--dataset-dir", str(sample), "--output", str(out), "--folds", "2", *more]


def crossval(sample: Path, out: Path, *more: str) -> int:
    return main(command_line(sample, out, *more))


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
    monkeypatch.setattr("sa2_monai.bundle.crossval.runs.subprocess", types.SimpleNamespace(run=counter))
    return counter


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.integration
def test_two_folds_and_their_ensemble(sample: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run_program(["sa2-monai", *command_line(sample, out, *SMALL, *LEARNS)])
    printed = done.stdout
    assert done.returncode == 0, printed[-3000:] + done.stderr[-3000:]
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
    (out / "models" / "fold0" / "last_state.pt").unlink()
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
    with Image.open(out / "ensemble" / "predictions" / "0Test.png") as drawn:
        assert drawn.size == (32, 32)


class Recorded:
    """In the place of the runs: writes what they would, as far as the command reads it."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []

    def __call__(self, command: list[str], check: bool) -> types.SimpleNamespace:
        names = [word.removeprefix("--") for word in command[4::2]]
        values = dict(zip(names, map(DefaultParseValue, command[5::2]), strict=True))
        self.values.append({**values, "files": [Path(file).stem for file in values["config_file"]]})
        if "fold" in values:
            Path(values["ckpt_dir"]).mkdir(parents=True, exist_ok=True)
            (Path(values["ckpt_dir"]) / "model.pt").touch()
        Path(values["output_dir"]).mkdir(parents=True, exist_ok=True)
        score = {"mean_of_class_means": 0.5}
        summary: dict[str, Any] = {"overall": {"dice": score, "jaccard": score}, "cases": 1}
        if any("paper" in file for file in self.values[-1]["files"]):
            summary["paper"] = {"dice": 0.25, "hd95": 3.0}
        (Path(values["output_dir"]) / "metrics_summary.json").write_text(json.dumps(summary))
        return types.SimpleNamespace(returncode=0)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorder = Recorded()
    monkeypatch.setattr("sa2_monai.bundle.crossval.runs.subprocess", types.SimpleNamespace(run=recorder))
    return recorder


def patients_in(out: Path, fold: int) -> dict[str, set[int]]:
    """Numbers of the patients by part, from the split files of ACDC."""
    folder = out / "splits" / f"fold{fold}"
    return {
        path.stem: {int(name[len("patient") :][:3]) for name in path.read_text().split()}
        for path in folder.glob("*.txt")
    }


def test_switches_of_volume_bundles(
    tmp_path: Path, repository: Path, recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folds are those of the bundle's own data list: published split, kind of files, published scores."""
    for number in range(1, 101):
        folder = tmp_path / "acdc" / "training" / f"patient{number:03d}"
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text("ED: 1\nES: 2\n")
        for name in ("frame01", "frame01_gt", "frame02", "frame02_gt"):
            (folder / f"{folder.name}_{name}.nii.gz").touch()
    out = tmp_path / "out"
    arguments = ["crossval", "--bundle", str(repository / "bundles" / "daeformer"), "--config", "acdc", "--paper"]
    arguments += ["--dataset-dir", str(tmp_path / "acdc"), "--folds", "2"]
    assert main([*arguments, "--output", str(out), "split=ssl4mis"]) == 0
    first, second = patients_in(out, 0), patients_in(out, 1)
    assert first["test"] == second["test"] == set(ACDC_SPLITS["ssl4mis"]["test"])
    assert (len(first["validation"]), len(second["validation"])) == (35, 35)
    assert not first["validation"] & second["validation"]
    # The listed validation part is left out, and no patient stands in two parts.
    assert first["training"] | first["validation"] == set(range(1, 101)) - {
        number for part in ACDC_SPLITS["ssl4mis"].values() for number in part
    }
    assert first["training"] == second["validation"]
    assert [values["split"] for values in recorded.values] == ["ssl4mis"] * 5
    # Only SA2-Net's ensemble is scored by another formula than its models.
    assert recorded.values[-1]["files"] == ["train", "acdc", "paper", "evaluate", "evaluate_paper", "ensemble"]
    assert "family" not in recorded.values[-1]
    # Of volumes, no IoU is published.
    assert [read(out / "crossval.json")["ensemble"][name] for name in ("dice", "iou")] == [0.25, None]

    assert main([*arguments, "--output", str(tmp_path / "default")]) == 0
    assert patients_in(tmp_path / "default", 0)["test"] == set(ACDC_SPLITS["mtunet"]["test"])
    capsys.readouterr()
    for wrong, message in (
        ("split=other", "split is 'other', expected one of mtunet, ssl4mis, official"),
        ("layout=none", "layout is 'none', expected one of"),
        ("kind=images", "kind is 'images', but 'acdc' consists of volumes"),
        ("train#dataset#data=[]", "train#dataset#data is [], which cannot be folded"),
    ):
        assert main([*arguments, "--output", str(tmp_path / "wrong"), wrong]) == 1
        assert message in capsys.readouterr().err


def test_patients_are_not_divided(tmp_path: Path, recorded: Recorded) -> None:
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(12):
            (tmp_path / "data" / kind / f"p{number % 4}_{number}.png").touch()
    arguments = ["--config", "folder", "--dataset-dir", str(tmp_path / "data"), "--folds", "2"]
    assert main(["crossval", *arguments, "--output", str(tmp_path / "out"), "patient_pattern=p\\d"]) == 0
    for fold in range(2):
        parts = {
            path.stem: {name[:2] for name in path.read_text().split()}
            for path in (tmp_path / "out" / "splits" / f"fold{fold}").glob("*.txt")
        }
        assert sorted(patient for patients in parts.values() for patient in patients) == ["p0", "p1", "p2", "p3"]
    assert {values["patient_pattern"] for values in recorded.values} == {"p\\d"}


def test_null_reaches_the_runs(tmp_path: Path, recorded: Recorded) -> None:
    """MONAI drops None from its command line: the value of the overlay would stay."""
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(8):
            (tmp_path / "data" / kind / f"p{number}.png").touch()
    arguments = ["--config", "folder", "--dataset-dir", str(tmp_path / "data"), "--folds", "2"]
    switches = ["restart_interval=5", "label_values=null", "train#trainer#amp=null"]
    assert main(["crossval", *arguments, "--output", str(tmp_path / "out"), *switches]) == 0
    for values in recorded.values:
        assert values["files"][-1] == "null_overrides"
        assert values["restart_interval"] == 5
        assert "label_values" not in values
    assert read(tmp_path / "out" / "null_overrides.json") == {"label_values": None, "train#trainer#amp": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["max_epoch=3"], "the bundle has no max_epoch (did you mean max_epochs?)"),
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
    (tmp_path / "configs" / "inference.yaml").touch()
    assert main(["crossval", "--bundle", str(tmp_path), "--dataset-dir", str(sample), "--output", str(out)]) == 1
    assert "has no train.yaml, which a cross-validation needs" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert crossval(sample, tmp_path / "file" / "out") == 1
    assert "cannot write to the output folder" in capsys.readouterr().err
    assert runs.steps == []
    assert not (out / "crossval.json").exists()
