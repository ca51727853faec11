# SPDX-License-Identifier: Apache-2.0
"""Packaged bundles in MONAI Label: a real server with the stock monaibundle app, spoken to by its own client.

SA2_LABEL_ALL=1 takes all bundles through it, pictures and volumes, in place of one for each.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from bundles.bundle_tools import WIDTH
from monai.bundle import ConfigParser
from PIL import Image
from programs import run_untraced
from scipy import ndimage

from sa2_monai.bundle import package_bundle
from sa2_monai.cli.main import main
from sa2_monai.data import make_sample, make_sample_volumes
from sa2_monai.weights import save_weights

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"batch_size": 4, "cache_rate": 0.0}
SIDE = {"hsaunet": 224}  # of the network's input; 64 for the others
ALL = ["sa2net", "daeformer", "hsaunet", "msa2net", "svanet"]
EVERY = os.environ.get("SA2_LABEL_ALL") == "1"
CASES = [
    pytest.param("folder", ALL if EVERY else ["sa2net"], id="pictures"),
    pytest.param("nifti_folder", ALL if EVERY else ["daeformer"], id="volumes"),
]
# All options but this one are left to the server; 3D Slicer sends all that there are.
REST = {"max_epochs": 1}
SLICER = {
    **{"device": "cpu", "pretrained": True, "max_epochs": 1, "val_split": 0.2, "multi_gpu": True, "gpus": "all"},
    **{"tracking": "None", "tracking_uri": "", "tracking_experiment_name": "", "run_id": ""},
    "model_filename": "model.pt",
}
SCORING = {"epistemic_simulation_size": "2"}
CLASSES = {
    "folder": ["background", "nucleus"],
    "nifti_folder": ["background", "liver", "spleen", "left kidney", "right kidney"],
}


@pytest.fixture(scope="module")
def label_python() -> str:
    if "SA2_LABEL_VENV" not in os.environ and not (ROOT / ".venv-monailabel" / ".installed").is_file():
        pytest.skip(
            "MONAI Label wants an environment of its own: run tools/lib/label_environment.sh once (2 GB, minutes), or "
            "name its folder with SA2_LABEL_VENV"
        )
    made = run_untraced(["bash", str(ROOT / "tools" / "lib" / "label_environment.sh")])
    if made.returncode:
        pytest.skip(f"no environment with MONAI Label: {made.stderr.strip().splitlines()[-1:]}")
    return made.stdout.strip().splitlines()[-1]


@pytest.fixture
def sample(tmp_path: Path, overlay: str) -> Iterator[Path]:
    """Sample images, not square; the folder that holds ``images`` and ``labels``."""
    folder = tmp_path / "sample"
    if overlay == "folder":
        make_sample(folder, seed=3, num_training=5, num_validation=0, num_test=1, size=(96, 160))
    else:
        make_sample_volumes(folder, seed=3, num_training=4, num_validation=0, num_test=1)
    yield folder
    shutil.rmtree(tmp_path)  # of packaged bundles there are megabytes


def packaged(bundle: str, overlay: str, output: Path, scratch: Path) -> Path:
    """A bundle with weights that are random, but for the last bias: there every class is met."""
    configs = ROOT / "bundles" / bundle / "configs"
    parser = ConfigParser()
    parser.read_config([str(configs / "inference.yaml"), str(configs / f"{overlay}.yaml")])
    side = SIDE.get(bundle, 64)
    sizes = {**SMALL, **WIDTH[bundle], "roi_size": [side, side], "class_names": CLASSES[overlay]}
    sizes |= {"img_size": side} if "img_size" in parser.config else {}
    parser.config.update(sizes)
    torch.manual_seed(7)
    network = parser.get_parsed_content("network_def").eval()
    channels, classes = (parser.get_parsed_content(name) for name in ("in_channels", "out_channels"))
    image = torch.rand(1, channels, side, side)
    with torch.no_grad():
        before = network(image)
        for name, bias in network.named_parameters():
            if name.endswith("bias") and bias.shape == (classes,):
                bias += 1.0
                moved = torch.allclose(network(image) - before, torch.ones(1), atol=1e-4)
                bias -= 1.0
                if moved:  # the last one: move the classes' logits to a common median
                    bias -= before.flatten(2).median(dim=-1).values[0]
    weights = scratch / "weights" / f"{bundle}.pt"
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_weights(network.state_dict(), weights, parser.get_parsed_content("model_info"))
    return package_bundle(ROOT / "bundles" / bundle, weights, output, overlay, overrides=sizes)[0]


class Desk:
    """Studies, the models that are served, and sessions with a server."""

    def __init__(self, python: str, folder: Path, overlay: str, sample: Path) -> None:
        self.python = python
        self.folder = folder
        self.overlay = overlay
        self.sample = sample
        self.suffix = ".png" if overlay == "folder" else ".nii.gz"
        self.studies = folder / "studies"
        shutil.copytree(sample / "images", self.studies)
        self.names = sorted(path.name.split(".")[0] for path in self.studies.iterdir())
        if overlay == "folder":  # one study that is no PNG: its label map must be one all the same
            picture = self.study(self.names[-1])
            Image.open(picture).convert("RGB").save(picture.with_suffix(".jpg"))
            picture.unlink()

    def study(self, name: str) -> Path:
        return next(self.studies.glob(f"{name}.*"))

    def predict(self, bundle: Path, weights: Path, name: str) -> np.ndarray:
        """What the bundle says without a server."""
        out = self.folder / "own" / f"{bundle.name}_{name}_{weights.parent.name}"
        words = [str(self.study(name)), "--output", str(out), "--bundle", str(bundle), "--weights", str(weights)]
        assert main(["predict", *words, "--device", "cpu"]) == 0
        return read(out / "predictions" / f"{name}{self.suffix}")

    def session(self, app: Path, conf: dict[str, str], steps: list[list[Any]]) -> list[Any]:
        """Results of the steps, see label_session.py."""
        work = self.folder / f"work{len(list(self.folder.glob('work*')))}"
        work.mkdir()
        job = {"app": str(app), "studies": str(self.studies), "conf": conf, "work": str(work), "steps": steps}
        (work / "job.json").write_text(json.dumps(job))
        script = Path(__file__).with_name("label_session.py")
        done = run_untraced([self.python, str(script), str(work / "job.json")], OMP_NUM_THREADS="1")
        log = (work / "server.log").read_text() if (work / "server.log").is_file() else ""
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:] + log[-6000:]
        results: list[Any] = json.loads((work / "results.json").read_text())
        return results


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)) if path.suffix == ".png" else np.asarray(nibabel.load(path).dataobj)


def stock_app(python: str, folder: Path) -> Path:
    words = ["apps", "--download", "--name", "monaibundle", "--output", str(folder)]
    path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    done = run_untraced([str(Path(python).with_name("monailabel")), *words], PATH=path)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "monaibundle"


@pytest.mark.integration
@pytest.mark.parametrize(("overlay", "bundles"), CASES)
def test_stock_app(overlay: str, bundles: list[str], sample: Path, label_python: str, tmp_path: Path) -> None:
    desk = Desk(label_python, tmp_path, overlay, sample)
    app = stock_app(label_python, tmp_path)
    folders = {folder.name: folder for folder in (packaged(b, overlay, app / "model", tmp_path) for b in bundles)}
    models = list(folders)
    conf = {"models": ",".join(models), "zoo_source": "local", "sam2": "false", **SCORING}
    conf["epistemic_model"] = conf["models"]
    seen, labelled = [desk.names[0], desk.names[-1]], desk.names[:3]
    before = {model: (folder / "models" / "model.pt").read_bytes() for model, folder in folders.items()}
    expected = {
        model: [desk.predict(folder, folder / "models" / "model.pt", name) for name in seen]
        for model, folder in folders.items()
    }

    steps: list[list[Any]] = [["info"], *(["infer", model, name, {}] for model in models for name in seen)]
    steps += [["label", name, str(sample / "labels" / f"{name}{desk.suffix}")] for name in labelled]
    for model in models:
        slicer = {**SLICER, "model": model}
        steps += [["train", model, REST], ["infer", model, seen[0], {}], ["train", model, slicer]]
    steps += [["score", model] for model in models]
    results = iter(desk.session(app, conf, steps))

    info = next(results)
    labels = {name: number for number, name in enumerate(CLASSES[overlay]) if number > 0}
    for model in models:
        assert info["models"][model]["type"] == "segmentation"
        assert info["models"][model]["labels"] == labels
        assert set(info["trainers"][model]["config"]) == set(SLICER)  # this is what 3D Slicer sends
        assert model in info["scoring"]
    for model in models:
        for name, own in zip(seen, expected[model], strict=True):
            file, answer = next(results)
            assert file.endswith(desk.suffix)
            assert answer["label_names"] == labels
            given = read(Path(file))
            assert len(np.unique(given)) > 1
            np.testing.assert_array_equal(given, own)
            if desk.suffix != ".png":
                affines = [nibabel.load(path).affine for path in (file, desk.study(name))]
                np.testing.assert_allclose(*affines, atol=1e-5)
    for name in labelled:
        assert name in json.dumps(next(results))
    for model, folder in folders.items():
        rest, (file, _), slicer = next(results), next(results), next(results)
        for task in (rest, slicer):
            assert task["status"] == "DONE", "\n".join(task["details"])
        # Each way has trained once, from the weights that were there. Those are kept.
        kept = folder / "models" / "previous"
        assert sorted(path.name for path in kept.iterdir()) == ["1", "2"]
        assert (kept / "1" / "model.pt").read_bytes() == before[model]
        assert (kept / "2" / "model.pt").read_bytes() != before[model]
        # The server has taken up the weights of the first training.
        np.testing.assert_array_equal(read(Path(file)), desk.predict(folder, kept / "2" / "model.pt", seen[0]))
    for _ in models:
        summary = next(results)
        assert summary["executed"] + summary["skipped"] == summary["total"] > 1
    store = json.loads((desk.studies / "datastore_v2.json").read_text())["objects"]
    scored = {name for name, entry in store.items() if entry["image"]["info"].get("epistemic_entropy") is not None}
    assert scored == set(desk.names) - set(labelled)
    # What a server that starts anew would offer first: MONAI Label sorts by the lengths of the names.
    for folder in folders.values():
        assert min((path.name for path in (folder / "models").glob("*.pt")), key=len) == "model.pt"


@pytest.mark.integration
@pytest.mark.parametrize("overlay", ["folder"])
def test_own_app(overlay: str, sample: Path, label_python: str, tmp_path: Path) -> None:
    desk = Desk(label_python, tmp_path, overlay, sample)
    folder = packaged("sa2net", overlay, tmp_path / "bundles", tmp_path)
    shutil.copytree(ROOT / "tools" / "monailabel_app", tmp_path / "app")
    name, model = desk.names[0], folder.name
    conf = {"bundles": str(folder.parent), "epistemic_model": model, **SCORING}
    steps = [["infer", model, name, {}], ["polygons", model, name, "dsa"], ["polygons", model, name, "asap"]]
    (file, _), dsa, asap, summary = desk.session(tmp_path / "app", conf, [*steps, ["score", model]])
    mask = read(Path(file))
    np.testing.assert_array_equal(mask, desk.predict(folder, folder / "models" / "model.pt", name))

    elements = json.loads(dsa)["elements"]
    assert {element["label"]["value"] for element in elements} == {"nucleus"}
    assert asap.count("<Annotation ") == len(elements) > 0
    # The corners of the polygons lie on the border of the mask, in (x, y) of the picture.
    points = np.array([point[:2] for element in elements for point in element["points"]])
    assert (points.max(axis=0) < (mask.shape[1], mask.shape[0])).all()
    near = ndimage.binary_dilation(mask, iterations=1) & ~ndimage.binary_erosion(mask, iterations=2)
    assert near[points[:, 1], points[:, 0]].mean() > 0.99
    assert summary["executed"] == len(desk.names)
    entropies = [
        entry["image"]["info"]["epistemic_entropy"]
        for entry in json.loads((desk.studies / "datastore_v2.json").read_text())["objects"].values()
    ]
    assert all(0.0 < entropy <= 1 / np.e + 1e-6 for entropy in entropies)  # -p log p of one channel
