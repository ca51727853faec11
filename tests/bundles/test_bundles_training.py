# SPDX-License-Identifier: Apache-2.0
"""Bundles train, resume and are evaluated: in this process, on very small images."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_tools import WIDTH, config_files, failure, make_workflow, metadata, read_json, resolved, run
from monai.bundle import ConfigParser
from monai.engines import SupervisedTrainer
from PIL import Image

from sa2_monai.data import load_datalist, load_parts, read_label
from sa2_monai.networks import create_network

Trained = Callable[[str], Path]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def write_dataset(folder: Path, classes: int, count: int = 5, channels: int = 3) -> Path:
    """Rectangles of ``classes - 1`` brightnesses, with labels 0 .. classes - 1."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        label = np.zeros((40, 36), dtype=np.uint8)
        for value in range(1, classes):
            label[4 + index : 30, 12 * value - 10 : 12 * value] = value
        image = label * (200 // (classes - 1)) + 20
        image = np.stack([image] * 3, axis=2) if channels == 3 else image
        Image.fromarray(image).save(folder / "images" / f"{index}.png")
        Image.fromarray(label).save(folder / "labels" / f"{index}.png")
    return folder


def test_properties(bundle: str, images: Path, tmp_path: Path) -> None:
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(images)}
    for names in (("train", "sample"), ("train", "sample", "evaluate"), ("inference", "sample")):
        extra = {"image_source": str(images / "images")} if names[0] == "inference" else {}
        workflow = make_workflow(bundle, *names, **common, **extra)
        workflow.initialize()
        assert workflow.check_properties() == [], names
        assert workflow.version == metadata(bundle)["version"]
        assert workflow.channel_def == {0: "background", 1: "nucleus"} or workflow.channel_def == {
            "0": "background",
            "1": "nucleus",
        }
    assert not list(tmp_path.rglob("*.pt")), "looking at properties must not train"


def test_what_a_training_leaves(bundle: str, trained: Trained, images: Path) -> None:
    root = trained("windows")
    state = weights(root / "models" / "model.pt")
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    network = create_network(bundle, in_channels=3, out_channels=1, **WIDTH[bundle])
    network.load_state_dict(state, strict=True)

    info = read_json(root / "models" / "model.json")
    assert info["network"] == bundle
    assert (info["view"], info["roi_size"], info["class_names"]) == ("windows", [32, 32], ["background", "nucleus"])
    assert info["metric_name"] == "val_mean_dice"
    assert info["metric"] > 0.2
    last = weights(root / "models" / "last_state.pt")
    assert last["engine"]["epoch"] == 16
    assert last["evaluator"]["best_metric_epoch"] == info["epoch"]

    record = read_json(root / "eval" / "run.json")
    assert (record["status"], len(record["epochs"]), record["inputs"]["count"]) == ("completed", 16, 4)
    assert record["configuration"]["max_epochs"] == 16
    assert list((root / "eval").glob("events.out.tfevents*"))
    files = ["last_state.pt", "last_state_before.pt", "model.json", "model.pt"]
    assert sorted(path.name for path in (root / "models").iterdir()) == files
    assert weights(root / "models" / files[1])["engine"]["epoch"] == 15


@pytest.mark.parametrize("run_id", ["run", "training", ""])
def test_trains_once(bundle: str, run_id: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3D Slicer sends an empty run id, which evaluates the whole configuration."""
    calls = []
    original = SupervisedTrainer.run
    monkeypatch.setattr(SupervisedTrainer, "run", lambda self: (calls.append(self), original(self))[1])
    workflow = make_workflow(
        *(bundle, "train", "sample"),
        bundle_root=str(tmp_path),
        dataset_dir=str(images),
        **{"train#trainer#max_epochs": 1},
    )
    workflow.run_id = run_id
    workflow.initialize()
    workflow.run()
    assert len(calls) == 1
    assert weights(tmp_path / "models" / "last_state.pt")["engine"]["epoch"] == 1


@pytest.mark.parametrize(
    "overlays", [("train", "sample"), ("train", "folder"), ("train", "folder", "paper")], ids="-".join
)
def test_resume_equals_an_uninterrupted_training(
    bundle: str, overlays: tuple[str, ...], images: Path, tmp_path: Path
) -> None:
    common = {"dataset_dir": str(images), "learning_rate": 1.0e-2}
    run(bundle, *overlays, bundle_root=str(tmp_path / "straight"), max_epochs=2, **common)
    run(bundle, *overlays, bundle_root=str(tmp_path / "resumed"), max_epochs=1, **common)
    first = weights(tmp_path / "resumed" / "models" / "last_state.pt")["model"]
    run(bundle, *overlays, bundle_root=str(tmp_path / "resumed"), max_epochs=2, resume=True, **common)
    one, two = (weights(tmp_path / name / "models" / "last_state.pt") for name in ("straight", "resumed"))
    assert same(one["model"], two["model"])
    assert not same(first, two["model"])
    assert one["engine"] == two["engine"]
    assert one["evaluator"] == two["evaluator"]
    assert same(*(weights(tmp_path / name / "models" / "model.pt") for name in ("straight", "resumed")))


def test_the_seed_decides(bundle: str, images: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(
            *(bundle, "train", "sample"),
            bundle_root=str(tmp_path / name),
            dataset_dir=str(images),
            max_epochs=1,
            seed=seed,
        )
    a, b, c = (weights(tmp_path / name / "models" / "last_state.pt")["model"] for name in "abc")
    assert same(a, b)
    assert not same(a, c)


def test_the_schedule_follows_the_number_of_epochs(bundle: str, images: Path) -> None:
    """MONAI Label overrides nothing but ``train#trainer#max_epochs``."""
    courses = []
    for overrides in ({"train#trainer#max_epochs": 7}, {"max_epochs": 7}, {"max_epochs": 9}):
        workflow = make_workflow(bundle, "train", "sample", dataset_dir=str(images), **overrides)
        scheduler, optimizer = (workflow.parser.get_parsed_content(name) for name in ("lr_scheduler", "optimizer"))
        rates = []
        for _ in range(7):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        courses.append(rates)
    assert courses[0] == courses[1] != courses[2]
    assert courses[0] == sorted(courses[0], reverse=True)  # the small data sets: one period, no restarts


def test_pretrained_weights_are_the_start(bundle: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    source = trained("windows") / "models" / "model.pt"
    run(
        *(bundle, "train", "sample"),
        bundle_root=str(tmp_path),
        dataset_dir=str(images),
        pretrained=str(source),
        max_epochs=1,
        learning_rate=0.0,
        min_learning_rate=0.0,
    )
    before, after = weights(source), weights(tmp_path / "models" / "last_state.pt")["model"]
    # With a learning rate of zero only the running statistics of batch normalisation move.
    learned = [name for name in before if "running" not in name and "num_batches" not in name]
    assert len(learned) > 10
    assert all(torch.equal(before[name], after[name]) for name in learned)


def test_folds_train_on_different_cases(bundle: str, images: Path, tmp_path: Path) -> None:
    seen = []
    for fold in range(2):
        workflow = make_workflow(
            *(bundle, "train", "sample"), dataset_dir=str(images), bundle_root=str(tmp_path), fold=fold, num_folds=2
        )
        parts = [workflow.parser.get_parsed_content(f"{part}#dataset#data") for part in ("train", "validate")]
        seen.append([{case["case"] for case in part} for part in parts])
    assert seen[0] == seen[1][::-1]
    assert not seen[0][0] & seen[0][1]


@pytest.mark.parametrize("view", ["windows", "whole"])
def test_evaluation(bundle: str, view: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    root = trained(view)
    common = {"dataset_dir": str(images), "ckpt_dir": str(root / "models"), "view": view}
    run(bundle, "train", "sample", "evaluate", output_dir=str(tmp_path), **common)
    cases = [case["case"] for case in load_datalist(images, "test", class_names=["background", "nucleus"])]
    assert sorted(path.stem for path in (tmp_path / "predictions").iterdir()) == cases
    assert len(list((tmp_path / "overlays").glob("*.png"))) >= 2
    assert "nucleus" in (tmp_path / "table.txt").read_text()

    # The numbers, once more and by hand, from the files.
    with open(tmp_path / "metrics_per_case.csv", newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    dice = []
    for case in cases:
        prediction = read_label(tmp_path / "predictions" / f"{case}.png") == 1
        reference = read_label(images / "labels" / f"{case}.png") == 255
        assert prediction.shape == (48, 40)
        dice.append(2 * (prediction & reference).sum() / (prediction.sum() + reference.sum()))
        assert float(rows[case]["dice"]) == pytest.approx(dice[-1], abs=1e-6)
    summary = read_json(tmp_path / "metrics_summary.json")
    assert summary["overall"]["dice"]["mean_of_class_means"] == pytest.approx(np.mean(dice), abs=1e-9)
    assert np.mean(dice) > 0.1, "the comparison would be empty"

    # On the validation cases it is the number that selected the weights.
    run(bundle, "train", "sample", "evaluate", output_dir=str(tmp_path / "val"), section="validation", **common)
    selected = read_json(root / "models" / "model.json")["metric"]
    summary = read_json(tmp_path / "val" / "metrics_summary.json")
    assert summary["overall"]["dice"]["mean_of_class_means"] == pytest.approx(selected, abs=1e-6)


def test_evaluation_of_other_weights_is_refused(bundle: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    common = {"dataset_dir": str(images), "output_dir": str(tmp_path)}
    models = str(trained("windows") / "models")
    message = failure(bundle, "train", "sample", "evaluate", ckpt_dir=models, view="whole", **common)
    assert "was trained with other settings: view is 'windows', the configuration says 'whole'" in message
    message = failure(bundle, "train", "sample", "evaluate", ckpt_dir=str(tmp_path / "none"), **common)
    assert str(tmp_path / "none" / "model.pt") in message
    assert not (tmp_path / "metrics_summary.json").exists()


def test_three_classes(bundle: str, tmp_path: Path) -> None:
    names = ["background", "dark", "bright"]
    folder = write_dataset(tmp_path / "data", classes=3)
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(folder), "class_names": names, "num_folds": 2}
    run(bundle, "train", "folder", max_epochs=12, learning_rate=2.0e-2, **common)
    run(bundle, "train", "folder", "evaluate", **common)
    summary = read_json(tmp_path / "eval" / "metrics_summary.json")
    assert list(summary["per_class"]) == names[1:]
    assert summary["overall"]["dice"]["mean_of_class_means"] > 0.2
    assert read_json(tmp_path / "models" / "model.json")["out_channels"] == 3
    common.pop("num_folds")
    run(bundle, "inference", "folder", image_source=str(folder / "images"), save_probabilities=True, **common)
    predictions = tmp_path / "eval" / "predictions"
    probabilities = np.load(predictions / "0_prob.npy").astype(float)
    assert probabilities.shape == (3, 40, 36)
    assert np.allclose(probabilities.sum(axis=0), 1, atol=5e-3)
    mask = read_label(predictions / "0.png")
    assert len(np.unique(mask)) > 1
    # half precision in the file: ties may fall the other way
    assert (mask == probabilities.argmax(axis=0)).mean() > 0.99


def test_grey_images(bundle: str, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", classes=2, channels=1)
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(folder), "in_channels": 1}
    run(bundle, "train", "folder", max_epochs=1, num_folds=2, **common)
    info = read_json(tmp_path / "models" / "model.json")
    assert (info["in_channels"], info["out_channels"]) == (1, 1)
    run(bundle, "inference", "folder", image_source=str(folder / "images" / "0.png"), **common)
    assert read_label(tmp_path / "eval" / "predictions" / "0.png").shape == (40, 36)


def test_switches_reach_where_they_belong(bundle: str) -> None:
    merged: dict[str, Any] = ConfigParser.load_config_files(config_files(bundle, "inference", "sample"))
    merged.update(class_names=["background", "a", "b", "c"], in_channels=1, roi_size=[64, 32], batch_size=3)
    network, inferer, info = resolved(merged, "network_def", "inferer", "model_info")
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, 1, 64, 32)).shape == (1, 4, 64, 32)
    assert tuple(inferer.roi_size) == (64, 32)
    assert inferer.slice_batch_size == 3
    assert (info["in_channels"], info["out_channels"], info["roi_size"]) == (1, 4, [64, 32])


@pytest.mark.parametrize("any_bundle", ["sa2net", "daeformer", "svanet"])
def test_all_cases_may_train(any_bundle: str, tmp_path: Path) -> None:
    """validation: none: nothing is held out, nothing validates, and the last epoch makes model.pt."""
    folder = write_dataset(tmp_path / "data", classes=2, count=6)
    parts = load_parts(folder)
    assert parts["validation"]
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(folder), "validation": "none", "roi_size": [32, 32]}
    workflow = run(any_bundle, "train", "folder", max_epochs=2, **common)
    training, nothing = (workflow.parser.get_parsed_content(f"{part}#dataset#data") for part in ("train", "validate"))
    cases = {case["case"] for part in ("training", "validation") for case in parts[part]}
    assert {case["case"] for case in training} == cases
    assert nothing == []
    info = read_json(tmp_path / "models" / "model.json")
    assert info["epoch"] == 2
    assert "metric" not in info
    last = weights(tmp_path / "models" / "last_state.pt")["model"]
    assert same(weights(tmp_path / "models" / "model.pt"), last)  # type: ignore[arg-type]
    assert "fold is 0, but validation is 'none'" in failure(any_bundle, "train", "folder", fold=0, **common)
    message = failure(any_bundle, "train", "folder", **{**common, "validation": "no"})
    assert "validation is 'no', expected one of auto, none" in message
    if any_bundle != "svanet":
        message = failure(any_bundle, "train", "folder", schedule="plateau", **common)
        assert "validation is 'none': choose another schedule" in message
