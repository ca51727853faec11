# SPDX-License-Identifier: Apache-2.0
"""What people get wrong, through the bundle: one clear message that names the file, before anything is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_tools import failure, make_workflow
from monai.engines import SupervisedTrainer
from PIL import Image

from sa2_monai.cli.main import root_cause
from sa2_monai.networks import create_network
from sa2_monai.weights import save_weights


@pytest.fixture
def data(images: Path, tmp_path: Path) -> Path:
    """A copy of the images that a test may spoil."""
    return Path(shutil.copytree(images, tmp_path / "data"))


@pytest.fixture
def refused(bundle: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Function that runs the training, which must fail before its first epoch, and returns all messages."""
    runs: list[Any] = []
    original = SupervisedTrainer._iteration
    monkeypatch.setattr(
        SupervisedTrainer, "_iteration", lambda self, *rest: (runs.append(self), original(self, *rest))[1]
    )

    def train(*overlays: str, **overrides: Any) -> str:
        values = {"bundle_root": str(tmp_path / "run"), "dataset_dir": str(data), "max_epochs": 1, **overrides}
        message = failure(bundle, "train", "sample", *overlays, **values)
        assert not runs, "it was found too late: training had begun"
        assert not list((tmp_path / "run").rglob("*.pt")) if (tmp_path / "run").is_dir() else True
        return message

    return train


CASE = "he_train_000"


def test_an_image_without_its_mask(refused: Callable[..., str], data: Path) -> None:
    (data / "labels" / f"{CASE}.png").unlink()
    message = refused()
    assert str(data / "labels" / f"{CASE}.png") in message
    assert "no such file" in message


def test_an_image_without_its_mask_in_folders(refused: Callable[..., str], data: Path) -> None:
    (data / "dataset.json").unlink()
    (data / "labels" / f"{CASE}.png").unlink()
    assert f"{CASE}.png" in refused(num_folds=2)


def test_a_missing_image(refused: Callable[..., str], data: Path) -> None:
    (data / "images" / f"{CASE}.png").unlink()
    assert f"{data / 'images' / CASE}.png: no such file" in refused()


def test_a_mask_of_another_size(refused: Callable[..., str], data: Path) -> None:
    Image.new("L", (40, 47)).save(data / "labels" / f"{CASE}.png")
    message = refused()
    assert "labels of another size than their image" in message
    assert f"{data / 'labels' / CASE}.png: 40 x 47, image 40 x 48 (width x height)" in message


def test_a_mask_value_outside_the_classes(refused: Callable[..., str], data: Path) -> None:
    label = np.zeros((48, 40), dtype=np.uint8)
    label[:5] = 7
    Image.fromarray(label).save(data / "labels" / f"{CASE}.png")
    message = refused()
    assert f"{data / 'labels' / CASE}.png: 7" in message
    assert "label_values" in message


def test_a_bad_validation_case_is_found_before_the_training(refused: Callable[..., str], data: Path) -> None:
    Image.new("L", (40, 47)).save(data / "labels" / "he_val_000.png")
    assert f"{data / 'labels' / 'he_val_000.png'}: 40 x 47" in refused()


def test_no_training_cases(refused: Callable[..., str], data: Path) -> None:
    description = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps({**description, "training": []}))
    message = refused()
    assert f"{data}: no training cases (0 training, 2 validation, 2 test)" in message


def test_no_data_at_all(refused: Callable[..., str], tmp_path: Path) -> None:
    assert f"{tmp_path / 'nowhere'}: no such folder" in refused(dataset_dir=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    message = refused(dataset_dir=str(tmp_path / "empty"))
    assert f"{tmp_path / 'empty'}: is not a data set of a known layout" in message
    assert "num_samples" not in message


def test_an_illegal_roi_size(refused: Callable[..., str]) -> None:
    for view in ("windows", "whole"):
        message = refused(roi_size=[33, 32], view=view)
        assert "illegal window size: roi_size is [33, 32]" in message
        assert "The nearest legal size is [32, 32]" in message


def test_an_unknown_layout(refused: Callable[..., str]) -> None:
    assert "expected one of" in refused(layout="folders")


def test_a_fold_that_does_not_exist(refused: Callable[..., str]) -> None:
    assert "fold is 5, but num_folds is 5, expected 0 to 4" in refused(fold=5)


def test_weights_of_another_width(bundle: str, refused: Callable[..., str], tmp_path: Path) -> None:
    other = create_network(bundle, in_channels=3, out_channels=4, base_channels=8)
    save_weights(other.state_dict(), tmp_path / "wide.pt", {})
    message = refused(pretrained=str(tmp_path / "wide.pt"))
    assert f"{tmp_path / 'wide.pt'} does not fit this SA2Net: base_channels is 8 in the weights, 4 here." in message
    assert "Set base_channels to 8" in message


def test_weights_of_another_network(refused: Callable[..., str], tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pt")
    message = refused(pretrained=str(tmp_path / "other.pt"))
    assert f"{tmp_path / 'other.pt'} is not a checkpoint of this" in message
    assert "unknown: layer.weight" in message


def test_missing_and_damaged_weights(refused: Callable[..., str], tmp_path: Path) -> None:
    assert str(tmp_path / "none.pt") in refused(pretrained=str(tmp_path / "none.pt"))
    (tmp_path / "damaged.pt").write_bytes(b"PK\x03\x04 rubbish")
    assert str(tmp_path / "damaged.pt") in refused(pretrained=str(tmp_path / "damaged.pt"))


@pytest.mark.parametrize("name", ["ckpt_dir", "output_dir"])
def test_an_output_folder_that_cannot_be_written(name: str, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = refused(**{name: str(tmp_path / "file" / "out")})
    assert f"cannot write to the output folder {tmp_path / 'file' / 'out'}" in message


def test_an_alpha_channel(refused: Callable[..., str], data: Path) -> None:
    image = np.full((48, 40, 4), 128, dtype=np.uint8)
    Image.fromarray(image).save(data / "images" / f"{CASE}.png")
    message = refused()
    assert f"{data / 'images' / CASE}.png: has an alpha channel with transparent pixels" in message


def rewrite(data: Path, content: Callable[[Path], None], name: str = "broken.tif") -> Path:
    """Give the data set another first image, made by ``content``."""
    path = data / "images" / name
    content(path)
    description = json.loads((data / "dataset.json").read_text())
    description["training"][0]["image"] = f"images/{name}"
    (data / "dataset.json").write_text(json.dumps(description))
    return path


def test_a_corrupt_tiff(refused: Callable[..., str], data: Path) -> None:
    def half(path: Path) -> None:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 40), dtype=np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:900])

    path = rewrite(data, half)
    assert str(path) in refused()


def test_not_a_number(refused: Callable[..., str], data: Path) -> None:
    pixels = np.full((48, 40), 0.5, dtype=np.float32)
    pixels[3, 4] = np.nan
    path = rewrite(data, lambda path: Image.fromarray(pixels).save(path))
    message = refused()
    assert str(path) in message
    assert "not finite" in message or "NaN" in message


def test_values_of_an_unknown_range(refused: Callable[..., str], data: Path) -> None:
    path = rewrite(data, lambda path: Image.fromarray(np.full((48, 40), 700, dtype=np.float32)).save(path))
    message = refused()
    assert str(path) in message


def test_all_problems_at_once(refused: Callable[..., str], data: Path) -> None:
    (data / "images" / f"{CASE}.png").unlink()
    Image.new("L", (40, 47)).save(data / "labels" / "bf_train_002.png")
    message = refused()
    assert f"{CASE}.png: no such file" in message
    assert "bf_train_002.png: 40 x 47" in message


def test_the_cause_is_found_by_programs(bundle: str, data: Path, tmp_path: Path) -> None:
    """What the console commands print of such a chain is the message that names the file."""
    Image.new("L", (40, 47)).save(data / "labels" / f"{CASE}.png")
    workflow = make_workflow(bundle, "train", "sample", dataset_dir=str(data), bundle_root=str(tmp_path))
    with pytest.raises(RuntimeError) as caught:
        workflow.run()
    assert root_cause(caught.value).startswith(f"{data}: the data cannot be used as they are")
