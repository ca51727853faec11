# SPDX-License-Identifier: Apache-2.0
"""Packaged bundles in MONAI Label: a real server with the stock monaibundle app, spoken to by its own client.

The environment is that of tools/lib/label_environment.sh; it is made with SA2_LABEL=1 (as tools/test does without
arguments), used where it is there, and left alone with SA2_LABEL=0. SA2_LABEL_ALL=1 takes all bundles through it,
images and volumes, and trains each in both ways, in place of one bundle and one way for each.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from PIL import Image
from scipy import ndimage

from sa2_monai.bundle import package_bundle
from sa2_monai.cli.main import main
from sa2_monai.data import make_sample, make_sample_volumes
from sa2_monai.weights import save_weights
from tests.bundles.bundle_tools import WIDTH
from tests.support.programs import run_untraced
from tests.support.small_models import script_in_process

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"batch_size": 4, "cache_rate": 0.0}
SIDE = {"hsaunet": 224}  # of the network's input; 64 for the others
ALL = ["sa2net", "daeformer", "hsaunet", "msa2net", "svanet"]
EVERY = os.environ.get("SA2_LABEL_ALL") == "1"
# All options but this one are left to the server; 3D Slicer sends all that there are.
REST = {"max_epochs": 1}
SLICER = {
    **{"device": "cpu", "pretrained": True, "max_epochs": 1, "val_split": 0.2, "multi_gpu": True, "gpus": "all"},
    **{"tracking": "None", "tracking_uri": "", "tracking_experiment_name": "", "run_id": ""},
    "model_filename": "model.pt",
}
CASES = [
    pytest.param("folder", ALL if EVERY else ["sa2net"], [REST, SLICER] if EVERY else [REST], id="images"),
    pytest.param("nifti_folder", ALL if EVERY else ["daeformer"], [REST, SLICER] if EVERY else [SLICER], id="volumes"),
]
SCORING = {"epistemic_simulation_size": "2"}
# Of the files of the data set; what annotators hand in are class numbers, and both are trained on.
VALUES = {"folder": {0: 0, 255: 1}, "nifti_folder": {0: 0, 10: 1, 20: 2, 30: 3, 40: 4}}
CLASSES = {
    "folder": ["background", "nucleus"],
    "nifti_folder": ["background", "liver", "spleen", "left kidney", "right kidney"],
}


@pytest.fixture(scope="module")
def label_python() -> str:
    wanted = os.environ.get("SA2_LABEL")
    folder = os.environ.get("SA2_LABEL_VENV") or f"{os.environ.get('SA2_VENV') or ROOT / '.venv'}-monailabel"
    if wanted == "0":
        pytest.skip("MONAI Label is left out: SA2_LABEL=0")
    if wanted != "1" and not Path(folder, ".installed").is_file():
        pytest.skip("MONAI Label wants an environment of its own (0.7 GB, half a minute, once): SA2_LABEL=1 makes it")
    # Where tools/test is making it, this waits.
    made = run_untraced(["bash", str(ROOT / "tools" / "lib" / "label_environment.sh"), sys.executable])
    if made.returncode == 3:
        pytest.skip(made.stderr.strip())
    assert made.returncode == 0, f"no environment with MONAI Label (SA2_LABEL=0 leaves it out): {made.stderr[-3000:]}"
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
    sizes["label_values"] = VALUES[overlay]
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
    with pytest.MonkeyPatch.context() as patch:
        script_in_process(patch)
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
            drawn = self.study(self.names[-1])
            Image.open(drawn).convert("RGB").save(drawn.with_suffix(".jpg"))
            drawn.unlink()

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
        command = [self.python, str(script), str(work / "job.json")]
        done = run_untraced(command, OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT))
        log = (work / "server.log").read_text() if (work / "server.log").is_file() else ""
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:] + log[-6000:]
        results: list[Any] = json.loads((work / "results.json").read_text())
        return results


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)) if path.suffix == ".png" else np.asarray(nibabel.load(path).dataobj)


def label_of(name: str, overlay: str, sample: Path, folder: Path, values: list[int]) -> Path:
    """A label of the sample with the given values for the classes."""
    suffix = ".png" if overlay == "folder" else ".nii.gz"
    file = sample / "labels" / f"{name}{suffix}"
    classes = read(file) > 0 if overlay == "folder" else read(file)
    label = np.array(values, dtype=np.uint8)[classes.astype(int)]
    if overlay == "folder":
        Image.fromarray(label).save(folder / file.name)
    else:
        nibabel.save(nibabel.Nifti1Image(label, nibabel.load(file).affine), folder / file.name)
    return folder / file.name


@pytest.mark.integration
@pytest.mark.parametrize(("overlay", "bundles", "ways"), CASES)
def test_stock_app(
    overlay: str, bundles: list[str], ways: list[dict[str, Any]], sample: Path, label_python: str, tmp_path: Path
) -> None:
    desk = Desk(label_python, tmp_path, overlay, sample)
    app = tmp_path / "monaibundle"
    shutil.copytree(Path(label_python).parents[1] / "apps" / "monaibundle", app)
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
    values = [list(range(len(CLASSES[overlay]))), list(VALUES[overlay])]
    for name, chosen in zip(labelled, [values[0], values[1], values[0]], strict=True):
        steps.append(["label", name, str(label_of(name, overlay, sample, tmp_path, chosen))])
    for model in models:
        for way in ways:
            asked = {**way, "model": model} if "run_id" in way else way
            steps += [["train", model, asked], ["infer", model, seen[0], {}]]
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
        trained = [(next(results), next(results)) for _ in ways]
        # Each way has trained once, from the weights that were there. Those are kept.
        kept = folder / "models" / "previous"
        files = [kept / str(number) / "model.pt" for number in range(1, len(ways) + 1)]
        assert sorted(kept.glob("*/model.pt")) == files
        assert files[0].read_bytes() == before[model]
        for (task, (file, _)), new in zip(trained, [*files[1:], folder / "models" / "model.pt"], strict=True):
            assert task["status"] == "DONE", "\n".join(task["details"])
            assert new.read_bytes() != before[model]
            # The server has taken up the weights of the training.
            np.testing.assert_array_equal(read(Path(file)), desk.predict(folder, new, seen[0]))
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
    # The corners of the polygons lie on the border of the mask, in (x, y) of the image.
    points = np.array([point[:2] for element in elements for point in element["points"]])
    assert (points.max(axis=0) < (mask.shape[1], mask.shape[0])).all()
    near = ndimage.binary_dilation(mask, iterations=1) & ~ndimage.binary_erosion(mask, iterations=2)
    assert near[points[:, 1], points[:, 0]].mean() > 0.99
    assert summary["executed"] == len(desk.names)
    entropies = [
        entry["image"]["info"]["epistemic_entropy"]
        for entry in json.loads((desk.studies / "datastore_v2.json").read_text())["objects"].values()
    ]
    # Those of `sa2-monai predict --uncertainty`, by the same code.
    out = tmp_path / "scores"
    options = [
        "--uncertainty",
        "entropy",
        "--dropout-samples",
        SCORING["epistemic_simulation_size"],
        "--dropout",
        "0.2",
    ]
    words = ["predict", str(desk.studies), "--bundle", str(folder), "--output", str(out), "--device", "cpu"]
    assert main([*words, *options]) == 0
    with open(out / "uncertainty.csv", newline="") as table:
        expected = sorted(float(row["entropy"]) for row in csv.DictReader(table))
    np.testing.assert_allclose(sorted(entropies), expected, rtol=1e-3)
