# SPDX-License-Identifier: Apache-2.0
"""A run is a bundle: whatever takes a bundle takes it as it is, also from another place."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import monai.bundle
import pytest
import torch
from monai.bundle import ConfigParser, verify_net_in_out
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle import find_bundle
from sa2_monai.bundle.locate import dataset_overlays
from sa2_monai.cli.main import main
from sa2_monai.data import load_datalist, read_label
from sa2_monai.weights import read_info, sha256_of
from tests.support.programs import run_program
from tests.support.small_models import script_in_process
from tests.support.trained_run import TrainedRun

pytestmark = [
    pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated"),
]
FILES = {
    *("configs/train.json", "configs/inference.json", "configs/evaluate.json", "configs/metadata.json"),
    *("configs/multi_gpu_train.json", "configs/logging.conf", "configs/plan.yaml", "configs/fingerprint.json"),
    *("models/model.pt", "models/model.json", "models/last_state.pt", "docs/README.md", "docs/data_license.txt"),
    *("LICENSE", "eval/run.json", "eval/history.csv", "eval/validation.png", "logs/train.log", "curves.png"),
}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def moved(trained_run: TrainedRun, tmp_path: Path) -> Path:
    """A copy in another place, to be changed."""
    return Path(shutil.copytree(trained_run.folder, tmp_path / "moved_run"))


def test_what_is_in_a_run(trained_run: TrainedRun) -> None:
    folder = trained_run.folder
    assert find_bundle(folder) == folder
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} >= FILES
    assert dataset_overlays(folder) == {}
    train, inference = (read(folder / "configs" / f"{stem}.json") for stem in ("train", "inference"))
    assert ConfigParser(train).get_parsed_content("dataset_dir") == str(trained_run.data)
    assert train["bundle_root"] == inference["bundle_root"] == "."
    for config in (train, inference):
        assert (config["base_channels"], config["roi_size"]) == (4, [32, 32])
        assert config["class_names"] == ["background", "nucleus"]
    assert (train["max_epochs"], train["resume"], train["time_limit"]) == (2, False, None)
    info = read_info(folder / "models" / "model.pt")
    assert info["class_names"] == ["background", "nucleus"]
    record = read(folder / "eval" / "run.json")
    assert record["weights"]["sha256"] == info["sha256"]
    assert record["configuration"]["time_limit"] is None
    assert "stopped" not in record


def test_metadata_and_card_tell_the_truth(trained_run: TrainedRun) -> None:
    metadata = read(trained_run.folder / "configs" / "metadata.json")
    assert metadata["name"] == "SA2-Net segmentation of nucleus"
    assert metadata["data_source"].startswith("nuclei, own data (8 training images")
    formats = metadata["network_data_format"]
    assert formats["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "nucleus"}
    assert (formats["inputs"]["image"]["num_channels"], formats["outputs"]["pred"]["num_channels"]) == (3, 1)
    assert formats["inputs"]["image"]["spatial_shape"] == ["16*n", "16*n"]
    card = (trained_run.folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert sha256_of(trained_run.folder / "models" / "model.pt") in card
    assert "have not been evaluated on test cases" in card
    assert "model.ts" not in card


def test_history_has_a_line_for_each_epoch(trained_run: TrainedRun) -> None:
    with (trained_run.folder / "eval" / "history.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["epoch", "train_loss", "val_mean_dice", "val_dice_nucleus", "learning_rate", "seconds"]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    info = read_info(trained_run.folder / "models" / "model.pt")
    assert float(rows[info["epoch"] - 1]["val_mean_dice"]) == pytest.approx(info["metric"], abs=1e-5)
    assert float(rows[1]["learning_rate"]) < float(rows[0]["learning_rate"])


def test_a_moved_run_predicts(trained_run: TrainedRun, moved: Path, tmp_path: Path) -> None:
    image = load_datalist(trained_run.data, "test")[0]["image"]
    assert main(["predict", image, "--bundle", str(moved), "--output", str(tmp_path / "out"), "--device", "cpu"]) == 0
    (written,) = (tmp_path / "out" / "predictions").glob("*.png")
    labels = load_bundle(moved, device="cpu").predict(image)
    assert (read_label(written) == labels).all()
    with Image.open(image) as opened:
        assert labels.shape == opened.size[::-1]


def test_monai_loads_a_moved_run(moved: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    network = monai.bundle.load(
        moved.name, bundle_dir=str(moved.parent), source="local", workflow_type="inference", device="cpu"
    )
    weights = torch.load(moved / "models" / "model.pt", weights_only=True)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    configs = moved / "configs"
    verify_net_in_out("network_def", str(configs / "metadata.json"), str(configs / "inference.json"), device="cpu")


def test_the_printed_line_of_monai_gives_the_same_weights(trained_run: TrainedRun, moved: Path) -> None:
    shutil.rmtree(moved / "models")
    (line,) = [line[2:] for line in trained_run.printed.splitlines() if line.startswith("$ ")]
    words = shlex.split(line.replace(str(trained_run.folder), str(moved)))
    words[words.index("--bundle_root") + 1] = str(moved)
    done = run_program(words)
    assert done.returncode == 0, done.stderr
    assert sha256_of(moved / "models" / "model.pt") == sha256_of(trained_run.folder / "models" / "model.pt")


def test_monai_goes_on_with_a_moved_run(moved: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    configs = moved / "configs"
    monai.bundle.run(
        "training",
        config_file=str(configs / "train.json"),
        meta_file=str(configs / "metadata.json"),
        logging_file=str(configs / "logging.conf"),
        bundle_root=str(moved),
        resume=True,
        max_epochs=3,
        device="cpu",
    )
    state = torch.load(moved / "models" / "last_state.pt", weights_only=True)
    assert state["engine"]["epoch"] == 3
    assert [entry["epoch"] for entry in read(moved / "eval" / "run.json")["epochs"]] == [3]


def test_an_evaluated_run_is_packaged(
    trained_run: TrainedRun, moved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["evaluate", "--bundle", str(moved), "--device", "cpu"]) == 0
    table = capsys.readouterr().out
    assert "nucleus  Dice         4/4" in table
    assert str(moved / "eval" / "report.html") in table
    summary = read(moved / "eval" / "metrics_summary.json")
    mean = summary["overall"]["dice"]["mean_of_class_means"]
    assert read(moved / "configs" / "metadata.json")["eval_metrics"]["mean_dice"] == pytest.approx(mean, abs=1e-4)
    line = f"| mean of the classes | {mean:.4f}"
    assert line in (moved / "docs" / "README.md").read_text(encoding="utf-8")

    script_in_process(monkeypatch)
    assert main(["package", "--bundle", str(moved), "--output", str(moved.parent / "packages")]) == 0
    package = moved.parent / "packages" / "nuclei_sa2net_segmentation"
    assert sha256_of(package / "models" / "model.pt") == sha256_of(moved / "models" / "model.pt")
    assert line in (package / "docs" / "README.md").read_text(encoding="utf-8")
    texts = [file.read_text(encoding="utf-8") for file in package.rglob("*.json")]
    assert not [text for text in texts if str(trained_run.data) in text or str(moved) in text]


def test_an_evaluation_of_other_data(
    trained_run: TrainedRun, moved: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = (moved / "docs" / "README.md").read_bytes()
    words = ["--bundle", str(moved), "--data", str(trained_run.data), "--output", str(tmp_path / "other")]
    assert main(["evaluate", *words, "--device", "cpu", "--fail-under", "dice=1.1"]) == 1
    assert (tmp_path / "other" / "report.html").is_file()
    assert (moved / "docs" / "README.md").read_bytes() == before
    assert "4/4" in capsys.readouterr().out


def test_an_evaluation_with_test_time_augmentation_lies_beside_the_other(
    moved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in moved.rglob("*") if path.is_file()}
    assert main(["evaluate", "--bundle", str(moved), "--device", "cpu", "--tta"]) == 0
    assert str(moved / "eval-tta" / "report.html") in capsys.readouterr().out
    assert read(moved / "eval-tta" / "metrics_summary.json")["cases"] == 4
    # What the run says of itself is still the network alone.
    assert {path: path.read_bytes() for path in before} == before


WRONG_EVALUATIONS = [
    (["--predictions", "p", "--references", "r", "--tta"], "--tta: only with --bundle, which predicts"),
    (["--bundle", "RUN", "--predictions", "p"], "--bundle predicts by itself"),
    (["--bundle", "RUN", "--classes", "a,b"], "--classes does not go together with --bundle"),
    (["--predictions", "p"], "give --predictions and --references, or --bundle RUN"),
    (
        ["--predictions", "p", "--references", "r", "--data", "d"],
        "give --predictions and --references, or --bundle RUN",
    ),
]


@pytest.mark.parametrize(("words", "told"), WRONG_EVALUATIONS, ids=[" ".join(words) for words, _ in WRONG_EVALUATIONS])
def test_evaluations_that_cannot_be(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", *words])
    assert told in capsys.readouterr().err


def test_its_cases_in_thirds(trained_run: TrainedRun, tmp_path: Path) -> None:
    """The images and numbers of objects come from the data list of the run."""
    run = str(trained_run.folder)
    assert main(["evaluate", "--bundle", run, "--strata", "crowding,quality", "--output", str(tmp_path / "out")]) == 0
    strata = read(tmp_path / "out" / "metrics_summary.json")["strata"]
    assert list(strata) == ["density", "touching", "blur", "contrast", "noise"]
    assert all(sum(third["images"] for third in block["thirds"].values()) == 4 for block in strata.values())
    assert (tmp_path / "out" / "strata_per_case.csv").is_file()
