# SPDX-License-Identifier: Apache-2.0
"""Bundles for volumes on images: an image goes the way of a volume with one slice, from training to the console."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_tools import VOLUME_BUNDLES, WIDTH, Merge, failure, make_workflow, read_json, resolved, run
from monai.transforms import Compose
from monai.utils import set_determinism
from PIL import Image

from sa2_monai.cli import main
from sa2_monai.data import read_label
from sa2_monai.networks import create_network
from sa2_monai.weights import load_weights

BUNDLE = VOLUME_BUNDLES[0]  # all of them have the same chain
Trained = Callable[[str], Path]


@pytest.fixture(scope="module")
def trained_on(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Function that trains once per view and returns the root; long enough that predictions hold both classes."""
    roots: dict[str, Path] = {}

    def train(view: str) -> Path:
        if view not in roots:
            roots[view] = tmp_path_factory.mktemp(view)
            options: dict[str, Any] = {"max_epochs": 16, "val_interval": 4, "view": view, "augment": "flip"}
            run(BUNDLE, "train", "folder", bundle_root=str(roots[view]), dataset_dir=str(images), **options)
            set_determinism(None)
        return roots[view]

    return train


@pytest.mark.parametrize("view", ["whole", "windows"])
def test_the_score_that_selected_is_that_of_the_files(
    view: str, trained_on: Trained, images: Path, tmp_path: Path
) -> None:
    root = trained_on(view)
    info = read_json(root / "models" / "model.json")
    assert (info["kind"], info["resize"], info["in_channels"]) == ("images", "spline", 3)
    assert info["metric"] > 0.2
    common = {"dataset_dir": str(images), "ckpt_dir": str(root / "models"), "output_dir": str(tmp_path), "view": view}
    run(BUNDLE, "train", "folder", "evaluate", section="validation", **common)
    summary = read_json(tmp_path / "metrics_summary.json")
    assert summary["overall"]["dice"]["mean_of_class_means"] == pytest.approx(info["metric"], abs=1e-6)
    assert summary["protocol"]["unit"] == "px"
    dice = []
    for path in sorted((tmp_path / "predictions").iterdir()):
        prediction, reference = read_label(path) == 1, read_label(images / "labels" / path.name) > 0
        dice.append(2 * (prediction & reference).sum() / (prediction.sum() + reference.sum()))
    assert np.mean(dice) == pytest.approx(info["metric"], abs=1e-6)


def test_the_console_takes_images(
    trained_on: Trained, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = trained_on("whole") / "models" / "model.pt"
    words = ["--weights", str(weights), "--device", "cpu", "--output", str(tmp_path)]
    assert main(["predict", str(images), *words, "--overlays", "--probabilities"]) == 0
    assert "8 masks in" in capsys.readouterr().out
    names = {path.stem for path in (images / "images").iterdir()}
    assert {path.stem for path in (tmp_path / "overlays").iterdir()} == names
    for name in names:
        label = read_label(tmp_path / "predictions" / f"{name}.png")
        probabilities = np.load(tmp_path / "predictions" / f"{name}_prob.npy").astype(float)
        assert (label.shape, probabilities.shape) == ((48, 40), (2, 48, 40))
        assert (label == probabilities.argmax(axis=0)).mean() > 0.99  # half precision in the file
    # What it was trained on comes from the weights: volumes are none of it.
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 3), np.int16), np.eye(4)), tmp_path / "scan.nii.gz")
    assert main(["predict", str(tmp_path / "scan.nii.gz"), *words]) == 1
    assert "not an image by its suffix" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["predict", str(images), *words, "--dicom-seg"])
    assert caught.value.code == 2
    options = {"image_source": str(images / "images"), "ckpt_path": str(weights), "output_dir": str(tmp_path)}
    message = failure(BUNDLE, "inference", "folder", kind="volumes", **options)
    assert "no volumes found" in message
    message = failure(BUNDLE, "inference", "nifti_folder", **{**options, "image_source": str(tmp_path / "scan.nii.gz")})
    assert "kind is 'images', the configuration says 'volumes'" in message


def test_what_monai_label_runs(trained_on: Trained, images: Path) -> None:
    """Without the writers; the map comes in MONAI's order (W, H), which is that of the metadata."""
    weights = trained_on("whole") / "models" / "model.pt"
    workflow = make_workflow(BUNDLE, "inference", "folder", device="cpu")
    before, inferer, after = (
        workflow.parser.get_parsed_content(name) for name in ("preprocessing", "inferer", "postprocessing")
    )
    network = create_network(BUNDLE, in_channels=3, out_channels=2, **WIDTH[BUNDLE]).eval()
    load_weights(network, weights)
    item = before({"image": str(images / "images" / "he_val_000.png")})
    assert item["image"].shape == (3, 48, 40, 1)
    assert list(item["image"].meta["spatial_shape"]) == [40, 48]
    item["pred"] = inferer(item["image"][None], network)[0]
    expected = item["pred"][0, ..., 0].T
    label = Compose([t for t in after.transforms if "SaveImage" not in type(t).__name__])(item)["pred"]
    assert label.dtype in (np.uint8, torch.uint8)
    assert np.array_equal(np.asarray(label), np.asarray(expected))


@pytest.mark.parametrize("bundle", ["daeformer", "msa2net"])
def test_isic_is_resized_and_stretched_as_published(bundle: str, tmp_path: Path) -> None:
    """D-LKA's code: Pillow's bilinear resize, standardised by the part, stretched per image; then ours to [-1, 1]."""
    rows, columns = np.mgrid[:97, :131]
    waves = [np.sin(rows / (9 + 4 * c)) * np.cos(columns / (12 - 2 * c)) for c in range(3)]
    image = (127 + 100 * np.stack(waves, axis=-1) + 20 * (rows % 2)[..., None]).astype(np.uint8)
    mask = ((rows - 50) ** 2 + (columns - 60) ** 2 < 900).astype(np.uint8) * 255
    for name, array in (("a.png", image), ("b.png", mask)):
        Image.fromarray(array).save(tmp_path / name)
    resized = np.double(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    published = (resized - 140) / 57  # mean and deviation of a part, which the next line takes out again
    published = (published - published.min()) / (published.max() - published.min())
    case = {"image": str(tmp_path / "a.png"), "label": str(tmp_path / "b.png"), "case": "a"}
    switches = {"roi_size": [32, 32], "augment": False}

    (chain,) = resolved({**Merge(bundle, ("train", "isic2018")).load(), **switches}, "train#preprocessing")
    item = chain(case)
    expected = torch.as_tensor(2 * np.moveaxis(published, -1, 0) - 1).float()
    torch.testing.assert_close(item["image"], expected, atol=2.5 / 200, rtol=0)  # 8 bits between the steps there
    assert set(item["label"].unique().tolist()) == {0.0, 1.0}

    seen: list[torch.Tensor] = []
    inference = {**Merge(bundle, ("inference", "isic2018")).load(), **switches, "image_source": case["image"]}
    before, inferer = resolved(inference, "preprocessing", "inferer")
    inferer(before({"image": case["image"]})["image"][None], lambda x: seen.append(x) or x[:, :2])
    torch.testing.assert_close(seen[0][0].as_subclass(torch.Tensor), item["image"], atol=1e-6, rtol=0)


def test_images_may_lie_on_disk(images: Path, tmp_path: Path) -> None:
    """The same numbers as from memory and as decoded anew."""
    switches = {"augment": "flip", "resize": "antialiased", "intensity": "minmax_resized"}
    common = {"dataset_dir": str(images), "max_epochs": 1, "val_interval": 1, **switches}
    for name, overlays, rate in (("memory", (), 1.0), ("anew", (), 0.0), ("disk", ("disk_cache",), 0.0)):
        run(BUNDLE, "train", "folder", *overlays, bundle_root=str(tmp_path / name), cache_rate=rate, **common)
    states = [
        torch.load(tmp_path / n / "models" / "last_state.pt", weights_only=True)["model"]
        for n in ("memory", "anew", "disk")
    ]
    for state in states[1:]:
        assert all(torch.equal(state[key], states[0][key]) for key in states[0])
    assert len(list((tmp_path / "disk" / "cache").iterdir())) == 4


def test_the_rate_is_halved_on_a_plateau(images: Path, tmp_path: Path) -> None:
    common = {"dataset_dir": str(images), "bundle_root": str(tmp_path), "schedule": "plateau", "cache_rate": 1.0}
    options = {"max_epochs": 4, "val_interval": 1, "learning_rate": 8.0e-8, "schedules#plateau#patience": 1}
    run(BUNDLE, "train", "folder", **common, **options)
    last = torch.load(tmp_path / "models" / "last_state.pt", weights_only=True)
    assert last["optimizer"]["param_groups"][0]["lr"] == pytest.approx(4e-8, abs=0)
    # It goes on where it was.
    run(BUNDLE, "train", "folder", **common, **{**options, "max_epochs": 6}, resume=True)
    last = torch.load(tmp_path / "models" / "last_state.pt", weights_only=True)
    assert last["optimizer"]["param_groups"][0]["lr"] == pytest.approx(2e-8, abs=0)
