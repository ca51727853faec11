# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai crossval``: folds, which are runs, ensemble, table, plan, resume, refusals."""

from __future__ import annotations

import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from crossval_runs import Recorded, Runs, no_scores, write
from PIL import Image

from sa2_monai.bundle import find_bundle
from sa2_monai.bundle.crossval.out_of_fold import read_out_of_fold
from sa2_monai.cli.main import main
from sa2_monai.data import ACDC_SPLITS, make_sample
from tests.support.programs import run_program

SMALL = ("base_channels=4", "roi_size=[32, 32]", "batch_size=2", "num_workers=0", "device=cpu")
LEARNS = ("max_epochs=30", "val_interval=30", "learning_rate=2.0e-2")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crossval") / "sample"
    make_sample(folder, seed=0, num_training=4, num_validation=1, num_test=2, size=(48, 48))
    return folder


def command_line(sample: Path, out: Path, *more: str) -> list[str]:
    return ["crossval", str(sample), "--config", "sample", "--output", str(out), "--folds", "2", *more]


def crossval(sample: Path, out: Path, *more: str) -> int:
    return main(command_line(sample, out, *more))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Any:
    counter = Runs()
    monkeypatch.setattr("sa2_monai.bundle.launch.run.start_process", counter)
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
        overall = read(out / f"fold{fold}" / "eval" / "metrics_summary.json")["overall"]
        scores = state["folds"][str(fold)]
        assert scores["dice"] == overall["dice"]["mean_of_class_means"]
        assert scores["iou"] == overall["jaccard"]["mean_of_class_means"]
        record = read(out / f"fold{fold}" / "eval" / "run.json")
        assert (record["configuration"]["fold"], record["configuration"]["max_epochs"]) == (fold, 30)
        assert read(out / f"fold{fold}" / "models" / "model.json")["sha256"] == scores["model_sha256"]
        assert record["weights"]["sha256"] == scores["model_sha256"]
        # The run is a bundle, whose card tells these scores.
        assert find_bundle(out / f"fold{fold}") == out / f"fold{fold}"
        assert f"{scores['dice']:.4f}" in (out / f"fold{fold}" / "docs" / "README.md").read_text()
    dice = [state["folds"][str(fold)]["dice"] for fold in range(2)]
    assert dice[0] != dice[1]
    assert min(dice) > 0.1
    assert state["summary"]["dice"]["mean"] == pytest.approx(statistics.mean(dice))
    assert state["summary"]["dice"]["std"] == pytest.approx(statistics.stdev(dice))
    assert state["ensemble"]["dice"] > 0.1
    assert f"ensemble    {state['ensemble']['dice']:.4f}  {state['ensemble']['iou']:.4f}" in printed
    assert printed.count(f"{sys.executable} -m sa2_monai train {sample} --output {out}/fold") == 2
    assert printed.count(f"{sys.executable} -m sa2_monai.bundle.successive --config_file") == 2
    assert printed.count(f"{sys.executable} -m monai.bundle run --config_file") == 1

    # Every case of the folds once, by the model that has not seen it: the same numbers from the files, by NumPy.
    result = read_out_of_fold(out)
    assert result.cases == sorted(cases[0, "validation"] + cases[1, "validation"])
    dices = []
    for row in result.per_case:
        assert row["case"] in cases[row["fold"], "validation"]
        prediction, reference = (
            np.asarray(Image.open(folder / f"{row['case']}.png")) > 0
            for folder in (out / "out_of_fold" / "predictions", sample / "labels")
        )
        dices.append(2 * (prediction & reference).sum() / (prediction.sum() + reference.sum()))
        assert abs(row["dice"] - dices[-1]) < 1e-9
    pooled = state["out_of_fold"]
    assert abs(pooled["dice"] - np.mean(dices)) < 1e-9
    assert pooled["dice_ci95"][0] <= pooled["dice"] <= pooled["dice_ci95"][1]
    assert f"all cases        -       -  {pooled['dice']:.4f}  {pooled['iou']:.4f}" in printed
    assert pooled["warnings"] == []
    assert all(read(out / f"fold{fold}" / "configs" / "train.json")["select"] == "last" for fold in range(2))
    assert (out / "out_of_fold" / "report.html").is_file()


def test_resume_skips_what_is_finished(
    sample: Path, tmp_path: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = (*SMALL, "max_epochs=1")
    runs.fail_at = 3  # between the test part and the cases that the first fold has held out
    assert crossval(sample, out, *arguments) == 1
    assert "the evaluation of fold 0 failed with exit code 1" in capsys.readouterr().err
    done, runs.steps, runs.fail_at = runs.steps[:2], [], 2  # the training of the second fold
    assert crossval(sample, out, *arguments) == 1
    assert "the training of fold 1 failed with exit code 1" in capsys.readouterr().err
    runs.steps = done + runs.steps
    assert [name for name, _ in runs.steps] == ["train", "evaluate", "evaluate", "train"]
    assert [values.get("fold") for _, values in runs.steps] == [0, None, None, 1]
    assert [values.get("section") for _, values in runs.steps] == [None, None, "validation", None]
    assert all(values["no-plan"] and values["config"] == ["sample"] for _, values in runs.steps[::3])
    assert read(out / "crossval.json")["folds"] == {}

    runs.steps, runs.fail_at = [], None
    assert crossval(sample, out, *arguments) == 0
    assert "training of fold 0" not in capsys.readouterr().out
    assert [name for name, _ in runs.steps] == ["train", "evaluate", "evaluate", "evaluate-ensemble"]
    assert (runs.steps[0][1]["fold"], runs.steps[0][1]["resume"]) == (1, False)  # it had not begun
    finished = (out / "crossval.json").read_bytes()

    runs.steps = []
    assert crossval(sample, out, *arguments, "--resume") == 0
    assert runs.steps == []
    assert "ensemble" in capsys.readouterr().out
    assert (out / "crossval.json").read_bytes() == finished

    # A model that is gone is trained again; the same training gives the same model, whose scores stand.
    (out / "fold0" / "models" / "model.pt").unlink()
    (out / "fold0" / "models" / "last_state.pt").unlink()
    runs.steps = []
    assert crossval(sample, out, *arguments) == 0
    assert [name for name, _ in runs.steps] == ["train"]
    assert runs.steps[0][1] == {
        **{"output": str(out / "fold0"), "resume": True, "device": "cpu"},
        **{"data": None, "config": [], "no-plan": False},
    }
    assert (out / "crossval.json").read_bytes() == finished
    # Scores of another model do not.
    record = read(out / "fold0" / "eval" / "run_evaluate.json")
    write(out / "fold0" / "eval" / "run_evaluate.json", {**record, "weights": {"sha256": "of another"}})
    write(out / "ensemble" / "models.json", {"sha256": ["of another", "and one more"]})
    runs.steps = []
    assert crossval(sample, out, *arguments) == 0
    assert [name for name, _ in runs.steps] == ["evaluate", "evaluate-ensemble"]
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

    state = read(out / "crossval.json")
    del state["version"]
    (out / "crossval.json").write_text(json.dumps(state))
    assert crossval(sample, out, *arguments, "--resume") == 1
    assert "was begun by an earlier version of sa2_monai" in capsys.readouterr().err


def test_planned_once(sample: Path, tmp_path: Path, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an overlay the plan decides, once for all folds; the time limit stops a training, --resume goes on."""
    out = tmp_path / "out"
    words = [str(sample), "--output", str(out), "--folds", "2", "--epochs", "2", *SMALL]
    assert main(["crossval", *words, "--time", "0.0001"]) == 0
    printed = capsys.readouterr().out
    assert "for images: made for microscopy" in printed
    assert "fold 1 was stopped by --time at epoch 1 of 2: not a result; --resume goes on." in printed
    plan = (out / "plan.yaml").read_text()
    assert "layout: folder" in plan
    assert "max_epochs" not in plan  # given
    assert (out / "fingerprint.json").is_file()
    begun = [values for name, values in runs.steps if name == "train"]
    assert [(values["config"], values["network"], values["fold"]) for values in begun] == [
        (["plan"], "sa2net", 0),
        (["plan"], "sa2net", 1),
    ]
    configs = [read(out / f"fold{fold}" / "configs" / "train.json") for fold in range(2)]
    assert [config.pop("fold") for config in configs] == [0, 1]
    assert configs[0] == configs[1]

    runs.steps = []
    assert main(["crossval", *words, "--resume"]) == 0
    assert "was stopped" not in capsys.readouterr().out
    assert [values["resume"] for name, values in runs.steps if name == "train"] == [True, True]
    assert read(out / "fold0" / "eval" / "run.json")["status"] == "completed"

    (out / "plan.yaml").write_text(plan + "overlap: 0.75\n")
    assert main(["crossval", *words, "--resume"]) == 1
    assert "was begun with other settings: plan is " in capsys.readouterr().err
    (out / "plan.yaml").unlink()
    assert main(["crossval", *words, "--resume"]) == 1
    assert "it is the plan of all folds" in capsys.readouterr().err


def test_options_of_earlier_versions(
    sample: Path, tmp_path: Path, recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--bundle", "sa2net", "--config", "sample", "--output", str(tmp_path / "out"), "--folds", "2"]
    assert main(["crossval", *words, "--dataset-dir", str(sample), "max_epochs=3"]) == 0
    notes = capsys.readouterr().err.splitlines()
    assert notes == ["note: --dataset-dir is now DATA", "note: --bundle is now --network NAME"]
    assert recorded.values[0]["data"] == str(sample)
    assert recorded.values[0]["max_epochs"] == 3
    with pytest.raises(SystemExit, match="2"):
        main(["crossval", str(sample), *words, "--dataset-dir", str(sample)])
    assert "--dataset-dir is the old name of DATA" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["crossval", "--help"])
    assert "--bundle" not in capsys.readouterr().out


def test_cases_found_by_patterns(sample: Path, tmp_path: Path, recorded: Recorded) -> None:
    out = tmp_path / "out"
    words = [str(sample), "--images", "images/*.png", "--labels", "labels/*.png", "--output", str(out), "--folds", "2"]
    assert main(["crossval", *words, "--network", "sa2net"]) == 0
    table = (out / "pairs.csv").read_text()
    assert len(table.splitlines()) == 8
    assert {values["data"] for values in recorded.values if "data" in values} == {str(out / "pairs.csv")}


def make_monuseg(folder: Path) -> Path:
    """MoNuSeg in the prepared layout."""
    rng = np.random.default_rng(0)
    for part, count in (("Train", 4), ("Test", 2)):
        images, labels = (folder / f"{part}_Folder" / kind for kind in ("img", "labelcol"))
        images.mkdir(parents=True)
        labels.mkdir()
        for index in range(count):
            mask = np.zeros((60, 50), dtype=np.uint8)
            mask[10 + 4 * index : 40, 8:30] = 255
            image = np.where(mask[:, :, None] > 0, [60, 30, 120], [220, 190, 230]) + rng.integers(0, 20, (60, 50, 3))
            Image.fromarray(image.astype(np.uint8)).save(images / f"{index}{part}.png")
            Image.fromarray(mask).save(labels / f"{index}{part}.png")
    return folder


def test_the_published_protocol(tmp_path: Path, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores on the network's grid, and Dice of the ensemble with one added."""
    data = make_monuseg(tmp_path / "data")
    out = tmp_path / "out"
    arguments = ["--config", "monuseg", str(data), "--output", str(out), "--folds", "2"]
    assert main(["crossval", *arguments, "--paper", *SMALL, *LEARNS]) == 0
    assert [name for name, _ in runs.steps] == [
        *["train", "evaluate-evaluate_paper", "evaluate"] * 2,
        "evaluate-evaluate_paper-ensemble",
    ]
    assert runs.steps[0][1]["config"] == ["monuseg", "paper"]
    assert "select" not in runs.steps[0][1]  # as published: the cases chose the epoch, and the table says so
    assert "selected_by_these_cases: the epoch of each model" in capsys.readouterr().out
    state = read(out / "crossval.json")
    for fold in range(2):
        summary = read(out / f"fold{fold}" / "eval" / "metrics_summary.json")
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
    assert read(out / "fold0" / "models" / "model.json")["channel_order"] == "BGR"
    with Image.open(out / "ensemble" / "predictions" / "0Test.png") as drawn:
        assert drawn.size == (32, 32)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorder = Recorded()
    monkeypatch.setattr("sa2_monai.bundle.launch.run.start_process", recorder)
    monkeypatch.setattr("sa2_monai.bundle.crossval.run.complete_run", lambda *_: None)
    monkeypatch.setattr("sa2_monai.bundle.crossval.run.score_out_of_fold", no_scores)
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
    arguments = ["crossval", str(tmp_path / "acdc"), "--network", str(repository / "bundles" / "daeformer")]
    arguments += ["--config", "acdc", "--paper", "--folds", "2"]
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
    assert [values["split"] for values in recorded.values] == ["ssl4mis"] * 7
    # Only SA2-Net's ensemble is scored by another formula than its models.
    assert recorded.values[0]["config"] == ["acdc", "paper"]
    assert recorded.values[-1]["step"] == "evaluate-evaluate_paper-ensemble"
    assert "family" not in recorded.values[-1]
    # Of volumes, no IoU is published.
    assert [read(out / "crossval.json")["ensemble"][name] for name in ("dice", "iou")] == [0.25, None]

    assert main([*arguments, "--output", str(tmp_path / "default")]) == 0
    assert patients_in(tmp_path / "default", 0)["test"] == set(ACDC_SPLITS["mtunet"]["test"])
    capsys.readouterr()
    for wrong, message in (
        ("split=other", "split is 'other', expected one of mtunet, ssl4mis, official"),
        ("kind=images", "kind is 'images', but 'acdc' consists of volumes"),
        ("train#dataset#data=[]", "train#dataset#data is [], which cannot be folded"),
    ):
        assert main([*arguments, "--output", str(tmp_path / "wrong"), wrong]) == 1
        assert message in capsys.readouterr().err


def test_patients_are_not_divided(tmp_path: Path, recorded: Recorded) -> None:
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(12):
            Image.new("L", (8, 8), 255 * (number > 2)).save(tmp_path / "data" / kind / f"p{number % 4}_{number}.png")
    arguments = ["--config", "folder", str(tmp_path / "data"), "--folds", "2"]
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
            Image.new("L", (8, 8), 255).save(tmp_path / "data" / kind / f"p{number}.png")
    arguments = ["--config", "folder", str(tmp_path / "data"), "--folds", "2"]
    switches = ["restart_interval=5", "label_values=null", "train#trainer#amp=null"]
    assert main(["crossval", *arguments, "--output", str(tmp_path / "out"), *switches]) == 0
    for values in recorded.values:
        assert values["restart_interval"] == 5
        if values["step"] == "train":
            assert (values["label_values"], values["train#trainer#amp"]) == (None, None)
        else:
            assert values["files"][-1] == str(tmp_path / "out" / "null_overrides.json")
            assert "label_values" not in values
    assert read(tmp_path / "out" / "null_overrides.json") == {"label_values": None, "train#trainer#amp": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["max_epoch=3"], "the bundle sa2net has no max_epoch (did you mean max_epochs?)"),
        (["train#trainr#max_epochs=3", "epochs=2"], "the bundle sa2net has no epochs"),
        (["fold=1"], "fold is set by the command itself"),
        (["ckpt_dir=here"], "ckpt_dir is set by the training itself"),
        (["--epochs", "3", "max_epochs=4"], "max_epochs is given twice"),
        (["--time", "0"], "the time is 0 minutes"),
        (["layout=none"], "layout is 'none', expected one of"),
        (["intensity=windo"], "intensity is 'windo', expected one of"),
        (["max_epochs"], "expected ID=VALUE, got 'max_epochs'"),
        (["roi_size=[32"], "roi_size=[32: the value is no YAML"),
        (["--folds", "1"], "--folds is 1, expected at least 2"),
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


def test_the_published_protocol_without_its_name(
    tmp_path: Path, recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a public data set the plan is what was published for it."""
    data, out = make_monuseg(tmp_path / "data"), tmp_path / "out"
    words = [str(data), "layout=monuseg", "--paper", "--output", str(out), "--folds", "2"]
    assert main(["crossval", *words]) == 0
    assert "published for MoNuSeg" in capsys.readouterr().out
    assert recorded.values[0]["config"] == ["plan", "paper"]
    published = yaml.safe_load((find_bundle("sa2net") / "configs" / "monuseg.yaml").read_text())
    planned = yaml.safe_load((out / "plan.yaml").read_text())
    for name in ("layout", "view", "roi_size"):  # said by the caller and paper.yaml
        del published[name]
    assert planned == {"dataset_dir": str(data), **published}


FAILURES = [
    (["NOWHERE"], "nowhere: no such file or folder"),
    (["DATA", "--folds", "9"], "are too few for 9 folds"),
    (["DATA", "--config", "nowhere"], "--config nowhere: neither an overlay of"),
    (["DATA", "--config", "evaluate"], "--config evaluate: this file is no overlay"),
    (["DATA", "--output", "FILE"], "cannot write to the output folder"),
    (["DATA", "--network", "EMPTY"], "is not a bundle"),
    (["DATA", "--network", "HALF"], "has no configs/train.json or .yaml"),
]


@pytest.mark.parametrize(("words", "message"), FAILURES, ids=[message[:24] for _, message in FAILURES])
def test_failures(
    words: list[str], message: str, sample: Path, tmp_path: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "half" / "configs" / "inference.json", {})
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    places = {"DATA": sample, "NOWHERE": tmp_path / "nowhere", "FILE": tmp_path / "file" / "out"}
    places |= {"EMPTY": tmp_path / "empty", "HALF": tmp_path / "half"}
    out = tmp_path / "out"
    given = ["--output", str(out), "--config", "sample", *(str(places.get(word, word)) for word in words)]
    assert main(["crossval", *given]) == 1
    error = capsys.readouterr().err
    assert re.match(rf"sa2-monai crossval: error: .*{re.escape(message)}", error)
    assert error.count("\n") == 1
    assert runs.steps == []
    assert not (out / "crossval.json").exists()


def test_the_published_protocol_of_own_data(sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crossval", str(sample), "--paper", "--output", str(tmp_path / "out")]) == 1
    assert "sa2net has no published protocol for these data (listed in dataset.json)" in capsys.readouterr().err


def test_values_survive_the_command_line(sample: Path, tmp_path: Path, recorded: Recorded) -> None:
    values = {"class_names": ["background", "a: b"], "learning_rate": 1e-05, "patient_pattern": "^(.*)$"}
    words = ["class_names=[background, 'a: b']", "learning_rate=1e-5", "patient_pattern=^(.*)$"]
    words += ["label_values=null", "roi_size=$[32, 32]"]
    assert main(command_line(sample, tmp_path / "out", *words)) == 0
    assert recorded.values[0] | values | {"label_values": None, "roi_size": "$[32, 32]"} == recorded.values[0]
