# SPDX-License-Identifier: Apache-2.0
"""Test-time augmentation and uncertainty by the configurations of the bundles: predict, evaluate, ensemble, servers."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from bundle_tools import BUNDLES, WIDTH, configs, failure, make_workflow, resolved, run
from monai.bundle import ConfigParser
from PIL import Image

from sa2_monai.cli import main
from sa2_monai.data import read_image, read_label
from sa2_monai.networks import create_network
from sa2_monai.weights import load_weights, save_weights

Trained = Callable[[str], Path]


@pytest.mark.parametrize("name", BUNDLES)
def test_every_bundle_has_the_switches(name: str, tmp_path: Path) -> None:
    """Flips and turns of thinned networks, two maps, a table."""
    torch.manual_seed(0)
    (network,) = resolved(
        {**ConfigParser.load_config_file(configs(name) / "inference.yaml"), **WIDTH[name], "in_channels": 3}
        | {"class_names": ["background", "cell"], "out_channels": 2},
        "network_def",
    )
    info = {"kind": "images", "class_names": ["background", "cell"], "in_channels": 3, "out_channels": 2}
    info |= {"network": name, "view": "whole", "roi_size": [32, 32], "intensity": "minmax", **WIDTH[name]}
    save_weights(network.state_dict(), tmp_path / "model.pt", info)
    noise = np.random.default_rng(0).integers(0, 256, (20, 26, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    words = ["predict", tmp_path / "a.png", "--weights", tmp_path / "model.pt", "--output", tmp_path / "out"]
    options = ["--tta", "--uncertainty", "all", "--dropout-samples", "2", "--dropout", "0.3", "--device", "cpu"]
    assert main([*map(str, words), *options]) == 0
    for map_name in ("entropy", "variance"):
        values = tifffile.imread(tmp_path / "out" / "predictions" / f"a_{map_name}.tif")
        assert values.shape == (20, 26)
        assert 1e-9 < values.max() <= 1
    assert (tmp_path / "out" / "uncertainty.csv").is_file()


def test_evaluation_and_inference_augment_alike(bundle: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    models = {"ckpt_dir": str(trained("windows") / "models")}
    folders = {}
    for tta in (False, True):
        out = tmp_path / f"evaluated_{tta}"
        run(*(bundle, "train", "sample", "evaluate"), dataset_dir=str(images), output_dir=str(out), tta=tta, **models)
        folders[tta] = out / "predictions"
    source = {"image_source": str(images / "images"), "output_dir": str(tmp_path / "predicted")}
    run(*(bundle, "inference", "sample"), tta=True, **models, **source)
    names = sorted(path.name for path in folders[True].glob("*.png"))
    assert len(names) == 2
    for name in names:
        assert np.array_equal(read_label(folders[True] / name), read_label(tmp_path / "predicted/predictions" / name))
    assert any(not np.array_equal(*(read_label(folders[tta] / name) for tta in (False, True))) for name in names)


def test_crossval_hands_the_switch_to_its_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def cross_validate(request: Any, resume: bool) -> None:
        asked.append(request.overrides)
        raise KeyboardInterrupt

    monkeypatch.setattr("sa2_monai.bundle.crossval.run.cross_validate", cross_validate)
    for option in (["--tta"], ["tta=true"], []):
        assert main(["crossval", str(tmp_path), "--output", str(tmp_path / "out"), *option]) == 130
    assert asked == [{"tta": True}, {"tta": True}, {}]


def test_an_ensemble_is_augmented_and_says_how_far_it_agrees(
    bundle: str, trained: Trained, images: Path, tmp_path: Path
) -> None:
    root = trained("whole")
    shutil.copytree(root / "models", tmp_path / "models")
    other = create_network(bundle, in_channels=3, out_channels=1, **WIDTH[bundle])
    load_weights(other, root / "models" / "model.pt")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.9)
    save_weights(other.state_dict(), tmp_path / "models" / "other.pt", {})
    checkpoints = [str(tmp_path / "models" / name) for name in ("model.pt", "other.pt")]
    common = {"image_source": str(images / "images"), "view": "whole", "fold_checkpoints": checkpoints}
    common["save_probabilities"] = True
    both = (bundle, "inference", "sample", "ensemble")
    for tta in (False, True):
        run(*both, tta=tta, uncertainty="variance", output_dir=str(tmp_path / str(tta)), **common)
        alone = []
        for file in checkpoints:
            out = tmp_path / f"{tta}_{Path(file).stem}"
            one = {**common, "fold_checkpoints": [file]}
            run(*both, tta=tta, uncertainty="entropy", output_dir=str(out), **one)
            alone.append(out / "predictions")
        for path in (tmp_path / str(tta) / "predictions").glob("*_prob.png"):
            mean = read_label(path) / 65535
            expected = np.mean([read_label(folder / path.name) / 65535 for folder in alone], axis=0)
            np.testing.assert_allclose(mean, expected, atol=1e-4)
            assert tifffile.imread(path.with_name(path.name.replace("_prob.png", "_variance.tif"))).max() > 1e-6
    with open(tmp_path / "True" / "uncertainty.csv", newline="") as table:
        assert {tuple(row) for row in csv.DictReader(table)} == {("case", "variance", "foreground")}


def test_a_variance_of_one_ends_before_the_first_case(
    bundle: str, trained: Trained, images: Path, tmp_path: Path
) -> None:
    common = {"ckpt_dir": str(trained("whole") / "models"), "view": "whole", "image_source": str(images / "images")}
    message = failure(bundle, "inference", "sample", uncertainty="all", output_dir=str(tmp_path / "out"), **common)
    assert "variance over the members of a prediction, but there is only one" in message
    assert not (tmp_path / "out").exists()
    message = failure(bundle, "inference", "sample", dropout_samples=2, output_dir=str(tmp_path / "out"), **common)
    assert "dropout_samples is 2, but the network drops nothing: set dropout to a rate above 0" in message


def test_servers_get_a_label_map_with_all_switches_on(bundle: str, trained: Trained, images: Path) -> None:
    """MONAI Label takes preprocessing, inferer and postprocessing without the writers, from the file of switches."""
    root = trained("windows")
    image = str(images / "images" / "he_train_000.png")
    found = {}
    for tta in (False, True):
        switches = {"tta": True, "uncertainty": "all"} if tta else {}
        workflow = make_workflow(bundle, "inference", "sample", bundle_root=str(root), **switches)
        workflow.initialize()
        parser = workflow.parser
        network = create_network(bundle, in_channels=3, out_channels=1, **WIDTH[bundle]).eval()
        load_weights(network, root / "models" / "model.pt")
        case = parser.get_parsed_content("preprocessing")({"image": image})
        case["pred"] = parser.get_parsed_content("inferer")(case["image"][None], network)[0]
        for transform in parser.get_parsed_content("postprocessing").transforms:
            if "SaveImage" not in type(transform).__name__:
                case = transform(case)
        found[tta] = case
    assert tuple(found[True]["pred"].shape) == tuple(found[False]["pred"].shape) == read_image(image).shape[1::-1]
    assert found[True]["pred"].dtype == torch.uint8
    assert set(found[True]["uncertainty_scores"]) == {"entropy", "variance", "foreground"}
    assert "uncertainty_scores" not in found[False]
