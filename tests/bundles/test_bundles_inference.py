# SPDX-License-Identifier: Apache-2.0
"""Bundles predict: the right numbers, at the size of the input, in both views, alone and as an ensemble."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bundle_tools import WIDTH, failure, make_workflow, run
from monai.engines import SupervisedEvaluator
from PIL import Image

from sa2_monai.data import read_image, read_label
from sa2_monai.networks import create_network
from sa2_monai.weights import load_weights, save_weights

Trained = Callable[[str], Path]


@pytest.fixture
def mixed(images: Path, tmp_path: Path) -> Path:
    """Images of several sizes, depths and file types."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    rgb = read_image(images / "images" / "he_train_000.png")
    grey = read_image(images / "images" / "fluo_train_001.png")[:, :, 0]
    Image.fromarray(rgb).save(folder / "native.png")
    Image.fromarray(rgb).resize((31, 75)).save(folder / "tall.tif")
    Image.fromarray(rgb).resize((67, 20)).save(folder / "wide.bmp")
    Image.fromarray(rgb).save(folder / "photo.jpg")
    Image.fromarray(grey).save(folder / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "deep.tiff")
    return folder


SIZES = {"native": (48, 40), "tall": (75, 31), "wide": (20, 67), "photo": (48, 40), "grey": (48, 40), "deep": (48, 40)}


def predict(bundle: str, root: Path, source: Path, out: Path, *overlays: str, **overrides: Any) -> Path:
    run(
        *(bundle, "inference", "sample", *overlays),
        ckpt_dir=str(root / "models"),
        image_source=str(source),
        output_dir=str(out),
        **overrides,
    )
    return out / "predictions"


@pytest.mark.parametrize("view", ["windows", "whole"])
def test_a_folder_of_all_kinds(bundle: str, view: str, trained: Trained, mixed: Path, tmp_path: Path) -> None:
    predictions = predict(bundle, trained(view), mixed, tmp_path / "out", view=view, save_probabilities=True)
    masks = {path.stem: path for path in predictions.rglob("*.png") if not path.stem.endswith("_prob")}
    assert set(masks) == set(SIZES)
    seen = set()
    for name, path in masks.items():
        with Image.open(path) as drawn:
            assert drawn.mode == "P"
        mask = read_label(path)
        probability = read_label(path.with_name(f"{name}_prob.png")) / 65535
        assert mask.shape == probability.shape == SIZES[name]
        # The file rounds probabilities to 1/65535.
        assert probability[mask == 1].min(initial=1) >= 0.5 - 1e-5
        assert probability[mask == 0].max(initial=0) <= 0.5 + 1e-5
        seen |= set(np.unique(mask).tolist())
    assert seen == {0, 1}
    # The same image with 8 and 16 bits gives the same mask.
    assert np.array_equal(read_label(masks["grey"]), read_label(masks["deep"]))


def test_without_tensorrt_its_overlay_changes_nothing(
    bundle: str, trained: Trained, mixed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if torch.cuda.is_available():
        pytest.skip("TensorRT may be there")
    root = trained("whole")
    plain = predict(bundle, root, mixed, tmp_path / "plain", view="whole")
    logger = logging.getLogger("monai.networks.trt_compiler")  # hands nothing on to the root
    logger.addHandler(caplog.handler)
    overlaid = predict(bundle, root, mixed, tmp_path / "trt", "inference_trt", view="whole")
    logger.removeHandler(caplog.handler)
    assert "trt_compile() has no effect" in caplog.text
    for path in plain.rglob("*.png"):
        assert np.array_equal(read_label(path), read_label(overlaid / path.relative_to(plain))), path.name


def network_of(bundle: str, root: Path) -> torch.nn.Module:
    network = create_network(bundle, in_channels=3, out_channels=1, **WIDTH[bundle]).eval()
    load_weights(network, root / "models" / "model.pt")
    return network


def prepared(path: Path) -> torch.Tensor:
    """Image (1, 3, H, W) stretched to its percentiles, without any of MONAI."""
    image = read_image(path, channels=3).astype(np.float32) / 255
    low, high = np.percentile(image, [0.1, 99.9])
    return torch.from_numpy(((image - low) / (high - low)).clip(0, 1)).permute(2, 0, 1)[None].float()


def test_the_numbers_of_the_whole_view(bundle: str, trained: Trained, mixed: Path, tmp_path: Path) -> None:
    """Computed a second time by hand: rows are rows, columns are columns, probabilities are resized and then cut."""
    root = trained("whole")
    predictions = predict(bundle, root, mixed, tmp_path / "out", view="whole", save_probabilities=True)
    network = network_of(bundle, root)
    for name, path in (("native", mixed / "native.png"), ("tall", mixed / "tall.tif"), ("wide", mixed / "wide.bmp")):
        small = F.interpolate(prepared(path), size=(32, 32), mode="bilinear", align_corners=False)
        with torch.no_grad():
            probability = torch.sigmoid(network(small))
        expected = F.interpolate(probability, size=SIZES[name], mode="bilinear", align_corners=False)[0, 0].numpy()
        found = read_label(predictions / f"{name}_prob.png") / 65535
        assert np.abs(found - expected).max() < 1e-3
        assert expected.std() > 0.01
        assert (read_label(predictions / f"{name}.png") == (expected >= 0.5)).mean() > 0.999


def test_the_numbers_of_the_windows_view(bundle: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    """An image of exactly one window needs no blending: the network alone gives its probabilities."""
    root = trained("windows")
    Image.fromarray(read_image(images / "images" / "he_train_000.png")[:32, :32]).save(tmp_path / "one.png")
    predictions = predict(bundle, root, tmp_path / "one.png", tmp_path / "out", save_probabilities=True)
    with torch.no_grad():
        expected = torch.sigmoid(network_of(bundle, root)(prepared(tmp_path / "one.png")))[0, 0].numpy()
    found = read_label(predictions / "one_prob.png") / 65535
    assert np.abs(found - expected).max() < 1e-3
    assert expected.std() > 0.01


def test_evaluation_and_inference_give_one_mask(bundle: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    root = trained("windows")
    run(
        *(bundle, "train", "sample", "evaluate"),
        dataset_dir=str(images),
        ckpt_dir=str(root / "models"),
        output_dir=str(tmp_path / "evaluation"),
    )
    predictions = predict(bundle, root, images / "images", tmp_path / "inference")
    compared = sorted((tmp_path / "evaluation" / "predictions").glob("*.png"))
    assert len(compared) == 2
    assert all(np.array_equal(read_label(path), read_label(predictions / path.name)) for path in compared)
    assert any(read_label(path).any() for path in compared)


def test_batches_change_nothing(bundle: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    for view in ("whole", "windows"):
        one = predict(bundle, trained(view), images / "images", tmp_path / view / "1", view=view, batch_size=1)
        many = predict(bundle, trained(view), images / "images", tmp_path / view / "5", view=view, batch_size=5)
        names = [path.name for path in one.iterdir()]
        assert len(names) == 8
        assert all((read_label(one / name) == read_label(many / name)).mean() > 0.999 for name in names)


def test_one_image_and_a_list(bundle: str, trained: Trained, mixed: Path, tmp_path: Path) -> None:
    root = trained("windows")
    alone = predict(bundle, root, mixed / "native.png", tmp_path / "one")
    assert [path.name for path in alone.iterdir()] == ["native.png"]
    (tmp_path / "list.txt").write_text(f"{mixed / 'native.png'}\n{mixed / 'wide.bmp'}\n")
    listed = predict(bundle, root, tmp_path / "list.txt", tmp_path / "list")
    assert sorted(path.name for path in listed.iterdir()) == ["native.png", "wide.png"]
    assert np.array_equal(read_label(alone / "native.png"), read_label(listed / "native.png"))


@pytest.mark.parametrize("run_id", ["run", ""])
def test_predicts_once(
    bundle: str, run_id: str, trained: Trained, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trained("windows")  # before: the validations of a training call it, too
    calls = []
    original = SupervisedEvaluator.run
    monkeypatch.setattr(SupervisedEvaluator, "run", lambda self: (calls.append(self), original(self))[1])
    workflow = make_workflow(
        *(bundle, "inference", "sample"),
        ckpt_dir=str(root / "models"),
        dataset_dir=str(images / "images"),
        output_dir=str(tmp_path),
    )
    workflow.run_id = run_id
    workflow.initialize()
    workflow.run()
    assert len(calls) == 1
    assert len(list((tmp_path / "predictions").iterdir())) == 8


def test_what_monai_label_runs(bundle: str, trained: Trained, images: Path) -> None:
    """It takes preprocessing, inferer and postprocessing without the writers, and wants a map (H, W) of integers."""
    root = trained("windows")
    workflow = make_workflow(bundle, "inference", "sample", ckpt_dir=str(root / "models"), bundle_root=str(root))
    workflow.initialize()
    parser = workflow.parser
    network = network_of(bundle, root)
    case = parser.get_parsed_content("preprocessing")({"image": str(images / "images" / "he_train_000.png")})
    with torch.no_grad():
        case["pred"] = parser.get_parsed_content("inferer")(case["image"][None], network)[0]
    for transform in parser.get_parsed_content("postprocessing").transforms:
        if "SaveImage" not in type(transform).__name__:
            case = transform(case)
    assert tuple(case["pred"].shape) == (40, 48)  # as MONAI's readers see it: width first
    assert case["pred"].dtype == torch.uint8


def test_an_ensemble_of_equals_is_each_of_them(bundle: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    root = trained("windows")
    for fold in range(5):
        shutil.copytree(root / "models", tmp_path / "models" / f"fold{fold}")
    one = predict(bundle, root, images / "images", tmp_path / "one", save_probabilities=True)
    five = predict(bundle, tmp_path, images / "images", tmp_path / "five", "ensemble", save_probabilities=True)
    names = sorted(path.name for path in one.glob("*_prob.png"))
    assert len(names) == 8
    for name in names:
        a, b = (read_label(folder / name).astype(int) for folder in (one, five))
        assert np.abs(a - b).max() <= 1


def test_an_ensemble_averages_probabilities(bundle: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    """Those of each network by itself, whose windows are blended before."""
    root = trained("windows")
    other = create_network(bundle, in_channels=3, out_channels=1, **WIDTH[bundle])
    torch.manual_seed(1)
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_weights(other.state_dict(), tmp_path / "other" / "models" / "model.pt", {})
    source = tmp_path / "one.png"
    Image.fromarray(read_image(images / "images" / "he_train_000.png")).save(source)
    maps = []
    for name, folder in (("a", root), ("b", tmp_path / "other")):
        predictions = predict(bundle, folder, source, tmp_path / name, save_probabilities=True)
        maps.append(read_label(predictions / "one_prob.png").astype(float))
    checkpoints = [str(folder / "models" / "model.pt") for folder in (root, tmp_path / "other")]
    both = predict(
        *(bundle, root, source, tmp_path / "both", "ensemble"), fold_checkpoints=checkpoints, save_probabilities=True
    )
    found = read_label(both / "one_prob.png").astype(float)
    assert np.abs(found - np.mean(maps, axis=0)).max() <= 2
    assert np.abs(maps[0] - maps[1]).mean() > 65535 * 0.02


def test_refusals(bundle: str, trained: Trained, mixed: Path, tmp_path: Path) -> None:
    root = trained("windows")
    common = {"ckpt_dir": str(root / "models"), "output_dir": str(tmp_path / "out")}
    message = failure(bundle, "inference", "sample", image_source=str(mixed), view="whole", **common)
    assert "view is 'windows', the configuration says 'whole'" in message
    message = failure(bundle, "inference", "sample", image_source=str(mixed), roi_size=[30, 30], **common)
    assert "illegal window size: roi_size is [30, 30]" in message
    message = failure(bundle, "inference", "sample", image_source=str(tmp_path / "nothing"), **common)
    assert str(tmp_path / "nothing") in message
    (mixed / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    message = failure(bundle, "inference", "sample", image_source=str(mixed / "broken.png"), **common)
    assert str(mixed / "broken.png") in message
    (tmp_path / "file").write_text("")
    message = failure(
        *(bundle, "inference", "sample"),
        **{**common, "image_source": str(mixed), "output_dir": str(tmp_path / "file" / "out")},
    )
    assert f"cannot write to the output folder {tmp_path / 'file' / 'out'}" in message
