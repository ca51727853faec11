# SPDX-License-Identifier: Apache-2.0
"""What only SvANet's bundle has: its augmentation, the frozen encoder, pixels without a label, batches of one."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_tools import Merge, failure, read_json, resolved, run
from monai.transforms import Compose, RandFlipd
from PIL import Image

from sa2_monai.networks import SvANet
from sa2_monai.slices import BicubicResized
from sa2_monai.transforms import RandBlurd, RandPadCropd, RandPhotometricd, RandRotateFilld, RandShortSideResized

# MONAI announces each list of files that it is given as a warning.
pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")

ORDER = [RandShortSideResized, RandFlipd, RandPadCropd, RandBlurd, RandPhotometricd, RandRotateFilld]
NETWORK = {
    "in_channels": 3,
    "out_channels": 3,
    "img_size": 32,
    "encoder": "resnet14",
    "base_channels": 4,
    "aspp_channels": 32,
}
CLASSES = ["background", "normal", "abnormal"]


def training_chain(*names: str, **changes: Any) -> Compose:
    config = {**Merge("svanet", ("train", *names)).load(), **changes}
    chain: Compose = resolved(config, "train#preprocessing")[0]
    return chain


def augmentation(chain: Compose) -> list[Any]:
    steps = [inner for t in chain.transforms for inner in (t.transforms if isinstance(t, Compose) else [t])]
    return [step for step in steps if type(step) in (*ORDER, BicubicResized)]


def test_the_augmentation_is_the_published_one() -> None:
    """Specification, section 8.3."""
    steps = augmentation(training_chain())
    assert [type(step) for step in steps] == [*ORDER, BicubicResized]
    size, flip, crop, blur, colour, rotation, nothing = steps
    assert crop.roi_size == nothing.spatial_size, "what is cropped has the size already"
    assert (size.short_side, size.max_side, size.mode) == ((256, 768), 1024, ("bicubic", "nearest"))
    assert (flip.prob, flip.flipper.spatial_axis) == (0.5, 1)
    assert (crop.roi_size, crop.fill) == ((512, 512), (1.0, 255))
    assert (blur.prob, blur.sigma) == (0.5, (0.0, 1.0))
    assert colour.step_prob == 0.5
    ranges = {"brightness": [0.875, 1.125], "contrast": [0.5, 1.5], "saturation": [0.5, 1.5], "hue": [-0.05, 0.05]}
    assert colour.ranges == ranges
    assert (rotation.prob, rotation.degrees) == (1.0, 10)
    assert (rotation.mode, rotation.fill) == (("bilinear", "nearest"), (0.0, 255))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"augment": False}, [BicubicResized]),
        ({"augment": "flip"}, [RandFlipd, BicubicResized]),
        ({"view": "windows"}, ORDER[1:]),
        ({"view": "windows", "augment": "flip"}, [RandFlipd, RandPadCropd]),
    ],
)
def test_other_ways_of_training(changes: dict[str, Any], expected: list[type]) -> None:
    assert [type(step) for step in augmentation(training_chain(**changes))] == expected


def test_left_and_right_of_a_volume_are_its_first_axis() -> None:
    (flip,) = (t for t in training_chain("atlas").transforms if isinstance(t, RandFlipd))
    assert flip.flipper.spatial_axis == 0


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Images in the folders of the published code; a band of each mask has no label."""
    folder = tmp_path / "cells"
    for part, count in (("train", 7), ("val", 2), ("test", 2)):
        (folder / part).mkdir(parents=True)
        (folder / "mask").mkdir(exist_ok=True)
        for number in range(count):
            label = np.zeros((40, 36), dtype=np.uint8)
            label[6 + number : 20, 4:14] = 1
            label[14:30, 20 : 30 - number] = 2
            image = np.stack([label * 90 + 30] * 3, axis=-1).astype(np.uint8)
            label[:, 32:] = 255
            Image.fromarray(image).save(folder / part / f"{part}{number}.png")
            Image.fromarray(label).save(folder / "mask" / f"{part}{number}.png")
    return folder


def imagenet_file(path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint of torchvision's form for the narrow encoder; returns its tensors."""
    torch.manual_seed(3)
    state = dict(SvANet(**NETWORK).encoder.state_dict())  # type: ignore[arg-type]
    torch.save({**state, "fc.weight": torch.zeros(10, 128), "fc.bias": torch.zeros(10)}, path)
    return state


def test_an_encoder_from_imagenet_is_frozen_at_first(cells: Path, tmp_path: Path) -> None:
    start = imagenet_file(tmp_path / "resnet14.pth")
    common = {"dataset_dir": str(cells), "encoder_weights": str(tmp_path / "resnet14.pth"), "max_epochs": 2}

    def encoder(root: Path) -> dict[str, torch.Tensor]:
        network = SvANet(**NETWORK)  # type: ignore[arg-type]
        network.load_state_dict(torch.load(root / "models" / "last_state.pt", weights_only=True)["model"])
        return network.encoder.state_dict()

    run("svanet", "train", "spermhealth", bundle_root=str(tmp_path / "run"), **{**common, "max_epochs": 1})
    frozen = encoder(tmp_path / "run")
    learned = [name for name in start if "num_batches" not in name and not torch.equal(start[name], frozen[name])]
    assert learned
    assert all("running" in name for name in learned)
    last = torch.load(tmp_path / "run" / "models" / "last_state.pt", weights_only=True)
    assert last["engine"]["iteration"] == 3  # 7 images in batches of 2, without the last one
    assert last["optimizer"]["param_groups"][0]["weight_decay"] == 0.03

    run("svanet", "train", "spermhealth", bundle_root=str(tmp_path / "run"), resume=True, **common)
    after = encoder(tmp_path / "run")
    assert not torch.equal(after["conv1.weight"], start["conv1.weight"])


def test_pixels_without_a_label_count_nowhere(cells: Path, tmp_path: Path) -> None:
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(cells), "max_epochs": 1}
    message = failure("svanet", "train", "spermhealth", ignore_value=None, **common)
    assert "set ignore_value to 255 where it marks pixels without a label" in message
    run("svanet", "train", "spermhealth", **common)
    assert read_json(tmp_path / "models" / "model.json")["class_names"] == CLASSES
    run("svanet", "train", "spermhealth", "evaluate", **common)
    summary = read_json(tmp_path / "eval" / "metrics_summary.json")
    assert summary["cases"] == 2
    labelled = 40 * 32
    with (tmp_path / "eval" / "metrics_per_case.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row in rows:
        predicted, reference, both = (int(float(row[f"voxels_{name}"])) for name in ("pred", "ref", "both"))
        negative = labelled - reference
        assert float(row["specificity"]) == pytest.approx((negative - predicted + both) / negative)
    options = {**common, "output_dir": str(tmp_path / "paper")}
    run("svanet", "train", "spermhealth", "paper", "evaluate", "evaluate_paper", **options)
    published = read_json(tmp_path / "paper" / "metrics_summary.json")
    assert published["protocol"]["name"] == "paper"


def test_a_batch_of_one_is_refused(cells: Path, tmp_path: Path) -> None:
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(cells), "max_epochs": 1}
    assert "the batch must be of 2 images at least" in failure("svanet", "train", "spermhealth", batch_size=1, **common)
