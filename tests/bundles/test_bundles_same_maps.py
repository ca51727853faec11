# SPDX-License-Identifier: Apache-2.0
"""What predict does is what was evaluated: one image, one set of weights, every road, one label map."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_tools import BUNDLES, ROOT, TINY, WIDTH, Merge, resolved, run
from PIL import Image
from torch import nn

from sa2_monai import load_bundle
from sa2_monai.bundle import as_validated, package_bundle
from sa2_monai.cli import main
from sa2_monai.data import read_label
from sa2_monai.weights import read_info, save_weights
from tests.support.small_models import balance

# MONAI announces each list of files that it is given as a warning.
pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")

SEEN: dict[str, Any] = {
    "view": "windows",
    "roi_size": TINY["roi_size"],
    "intensity": "percentiles",
    "class_names": ["background", "a", "b"],
}
# No default of any bundle: what does not travel shows.
VALIDATED: dict[str, Any] = {"overlap": 0.6, "largest_component": [1], "fill_holes": True, "min_volume": {2: 40.0}}
OF_KIND: dict[str, dict[str, Any]] = {
    "images": {"kind": "images", "layout": "folder", "in_channels": 3},
    "volumes": {"kind": "volumes", "layout": "volumes", "in_channels": 1, "pixdim": 0.9, "slice_axis": "coronal"},
}
OVERLAY = {"images": "folder", "volumes": "nifti_folder"}


def make_case(kind: str, folder: Path) -> Path:
    """A data set with one image, larger than the window; returns the image."""
    rng = np.random.default_rng(1)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    coarse = torch.from_numpy(rng.random((1, 3, 9, 9)))
    smooth = nn.functional.interpolate(coarse, (52, 44), mode="bicubic")[0].clamp(0, 1).numpy()
    if kind == "images":
        image, label = folder / "images" / "c0.png", folder / "labels" / "c0.png"
        Image.fromarray((smooth * 255).astype(np.uint8).transpose(1, 2, 0)).save(image)
        Image.fromarray((smooth[0] * 2.99).astype(np.uint8)).save(label)
    else:
        image, label = folder / "images" / "c0.nii.gz", folder / "labels" / "c0.nii.gz"
        affine = np.diag([-0.8, 1.5, 0.8, 1.0])
        volume = np.stack([smooth[0], smooth[1], smooth[2]], axis=1)
        nib.save(nib.Nifti1Image((volume * 400).astype(np.int16), affine), image)
        nib.save(nib.Nifti1Image((volume * 2.99).astype(np.uint8), affine), label)
    entry = {"image": f"images/{image.name}", "label": f"labels/{label.name}"}
    table = {"labels": {"0": "background", "1": "a", "2": "b"}, "training": [], "test": [entry]}
    (folder / "dataset.json").write_text(json.dumps(table))
    return image


def make_weights(bundle: str, settings: dict[str, Any], file: Path) -> None:
    """Untrained weights that find every class somewhere, with the sidecar that a training would write."""
    config = {**Merge(bundle, ("train",)).load(), **settings}
    network, info = resolved(config, "network_def", "model_info")
    torch.manual_seed(0)
    balance(network.eval(), settings["in_channels"], settings["roi_size"])
    save_weights(network.state_dict(), file, info)


@pytest.mark.parametrize("kind", list(OF_KIND))
@pytest.mark.parametrize("bundle", BUNDLES)
def test_every_road_gives_one_label_map(
    bundle: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_case(kind, tmp_path / "data")
    known = Merge(bundle, ("train",)).load()
    seen = {key: value for key, value in {**SEEN, **OF_KIND[kind], **WIDTH[bundle]}.items() if key in known}
    weights = tmp_path / "w" / "model.pt"
    make_weights(bundle, {**seen, **VALIDATED}, weights)
    assert {key: read_info(weights)[key] for key in VALIDATED} == json.loads(json.dumps(VALIDATED))
    suffix = "".join(image.suffixes)
    maps: dict[str, np.ndarray] = {}

    def read(folder: Path) -> np.ndarray:
        file = folder / f"c0{suffix}"
        return np.asarray(read_label(file)) if kind == "images" else nib.load(file).get_fdata()

    common = {**seen, "ckpt_path": str(weights), "bundle_root": str(tmp_path / "root")}
    # The configuration of a training says them; what the weights were validated with need not be said again.
    folders = {"dataset_dir": str(tmp_path / "data"), "output_dir": str(tmp_path / "e")}
    run(bundle, "train", OVERLAY[kind], "evaluate", **common, **folders, overlap=VALIDATED["overlap"])
    maps["evaluate.yaml"] = read(tmp_path / "e" / "predictions")
    inference = {key: value for key, value in common.items() if key != "layout"}
    run(bundle, "inference", **inference, dataset_dir=str(image), output_dir=str(tmp_path / "i"))
    maps["inference.yaml"] = read(tmp_path / "i" / "predictions")
    out = tmp_path / "p"
    words = ["--weights", str(weights), "--bundle", str(ROOT / bundle), "--output", str(out), "--device", "cpu"]
    assert main(["predict", str(image), *words]) == 0
    maps["predict"] = read(out / "predictions")
    loaded = load_bundle(ROOT / bundle, weights, device="cpu")
    maps["load_bundle"] = loaded.predict(image)
    # The exported network is not looked at here, and takes its time.
    monkeypatch.setattr("sa2_monai.bundle.packaging.package.script_bundle", lambda folder: None)
    monkeypatch.setattr("sa2_monai.bundle.packaging.package._compare", lambda *_: SimpleNamespace(passed=True))
    (packaged,) = package_bundle(ROOT / bundle, weights, tmp_path / "packages", dataset=OVERLAY[kind])
    maps["package"] = load_bundle(packaged, device="cpu").predict(image)
    first = maps["evaluate.yaml"]
    assert len(np.unique(first)) > 1
    for road, found in maps.items():
        np.testing.assert_array_equal(found, first, err_msg=road)
    # It matters: with the defaults of the bundles the map is another one.
    none = {"largest_component": False, "fill_holes": False, "min_volume": False}
    assert not np.array_equal(loaded.predict(image, overlap=0.25, **none), first)
    if kind == "volumes":  # the options of the command win
        words[5] = str(tmp_path / "o")
        assert (
            main(["predict", str(image), *words, "--no-largest-component", "--no-fill-holes", "--min-volume", "0"]) == 0
        )
        np.testing.assert_array_equal(read(tmp_path / "o" / "predictions"), loaded.predict(image, **none))


def test_switches_that_are_not_given_are_those_of_the_weights(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    wanted = dict.fromkeys(VALIDATED)
    assert as_validated(file, 0.25, **wanted) == {**wanted, "overlap": 0.25}
    save_weights({"w": torch.zeros(1)}, file, {"network": "sa2net"})  # of an earlier version
    assert as_validated(file, 0.25, **wanted) == {**wanted, "overlap": 0.25}
    save_weights({"w": torch.zeros(1)}, file, {"network": "sa2net", **VALIDATED, "fill_holes": None})
    told = {**VALIDATED, "fill_holes": False, "min_volume": {"2": 40.0}}
    assert as_validated(file, 0.25, **wanted) == told
    assert as_validated([file, tmp_path / "other.pt"], 0.25, **wanted) == told
    given = {"overlap": 0.0, "largest_component": False, "fill_holes": [2], "min_volume": 0}
    assert as_validated(file, 0.25, **given) == given
    shutil.copy(file, tmp_path / "copy.pt")
    (tmp_path / "copy.json").write_text(json.dumps({**read_info(file), "overlap": 1}))
    with pytest.raises(ValueError, match=r"copy\.json: overlap is 1, expected a number from 0 to below 1"):
        as_validated(tmp_path / "copy.pt", 0.25, overlap=None)
