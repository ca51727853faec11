# SPDX-License-Identifier: Apache-2.0
"""Bundles do not train on in silence: divergence, a second training in the folder, stale cases on the disk."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_tools import BUNDLES, ROOT, failure, make_workflow, read_json, run
from monai.data.utils import set_rnd
from monai.utils import set_determinism
from PIL import Image, ImageOps
from test_bundles_commands import SMALL, narrow
from test_bundles_processes import make_volumes

from tests.support.programs import run_program

EACH = pytest.mark.parametrize("bundle", BUNDLES)
NAMES = ["background", "nucleus"]

HOLD = """
import sys
from sa2_monai.io.ownership import claim_folder
with claim_folder(sys.argv[1], "training"):
    print("claimed", flush=True)
    sys.stdin.read()
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@EACH
def test_a_diverged_training_ends_and_goes_on(bundle: str, images: Path, tmp_path: Path) -> None:
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(images), "val_interval": 1, "class_names": NAMES}
    run(bundle, "train", "folder", max_epochs=1, **common)
    kept = contents(tmp_path / "models")
    message = failure(bundle, "train", "folder", max_epochs=3, learning_rate=1.0e36, resume=True, **common)
    assert "the training diverged in epoch 2, iteration " in message
    assert re.search(r"Cases of its batch: \w+_train_00\d, \w+_train_00\d\. ", message)
    assert contents(tmp_path / "models") == kept
    record = read_json(tmp_path / "eval" / "run.json")
    assert (record["status"], record["error"].split(":")[0]) == ("failed", "DivergedError")
    run(bundle, "train", "folder", max_epochs=2, resume=True, **common)
    state = torch.load(tmp_path / "models" / "last_state.pt", weights_only=True)
    assert state["engine"]["epoch"] == 2
    assert all(bool(value.isfinite().all()) for value in state["model"].values())


@pytest.mark.integration
def test_the_command_fails(images: Path, tmp_path: Path) -> None:
    words = ["run", "training", "--config_file", "['configs/train.yaml','configs/sample.yaml']", "--max_epochs", "2"]
    words += ["--dataset_dir", str(images), "--bundle_root", str(tmp_path), "--learning_rate", "1.0e36"]
    command = [sys.executable, "-m", "monai.bundle", *words, *SMALL, *narrow("sa2net")]
    done = run_program(command, ROOT / "sa2net", OMP_NUM_THREADS="1")
    assert done.returncode == 1
    assert "the training diverged in epoch 1" in done.stdout + done.stderr
    assert not list((tmp_path / "models").glob("*.pt"))


@EACH
def test_a_second_training_is_refused_before_anything_is_read(bundle: str, tmp_path: Path) -> None:
    folder = "models" if BUNDLES.index(bundle) % 2 else "eval"
    command = [sys.executable, "-c", HOLD, str(tmp_path / folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        message = failure(bundle, "train", "folder", bundle_root=str(tmp_path), dataset_dir=str(tmp_path / "none"))
        other.communicate()
    assert f"{folder}: another program writes into this folder: training, process {other.pid} on" in message
    assert "none" not in message


def dataset(bundle: str, *names: str, **options: Any) -> Any:
    workflow = make_workflow(bundle, "train", *names, **options)
    workflow.initialize()
    return workflow.parser.get_parsed_content("train#dataset")


def samples(data: Any) -> list[dict[str, Any]]:
    """Two epochs."""
    set_determinism(7)
    set_rnd(data, 3)
    found = [data[index] for _ in range(2) for index in range(len(data))]
    return [sample for item in found for sample in (item if isinstance(item, list) else [item])]


@EACH
@pytest.mark.parametrize("kind", ["images", "volumes"])
def test_cases_from_the_disk_are_those_from_memory(bundle: str, kind: str, images: Path, tmp_path: Path) -> None:
    source = images if kind == "images" else make_volumes(tmp_path / "data")
    overlay = "folder" if kind == "images" else "nifti_folder"
    common = {"dataset_dir": str(source), "bundle_root": str(tmp_path), "class_names": NAMES}
    memory = samples(dataset(bundle, overlay, **common))
    for _ in range(2):  # made, then read
        disk = samples(dataset(bundle, overlay, "disk_cache", **common))
        assert len(disk) == len(memory)
        for one, two in zip(memory, disk, strict=True):
            assert one.keys() == two.keys()
            assert all(torch.equal(one[key], two[key]) for key in ("image", "label"))
            assert one["case"] == two["case"]
    assert len(list((tmp_path / "cache").iterdir())) == len({sample["case"] for sample in memory})


def test_a_training_from_the_disk_sees_changed_files(images: Path, tmp_path: Path) -> None:
    shutil.copytree(images, tmp_path / "data")
    common = {"dataset_dir": str(tmp_path / "data"), "bundle_root": str(tmp_path)}
    before = samples(dataset("sa2net", "folder", "disk_cache", **common))
    for path in sorted((tmp_path / "data" / "images").glob("*.png")):
        with Image.open(path) as image:
            ImageOps.invert(image.convert("RGB")).save(path)
    after = samples(dataset("sa2net", "folder", "disk_cache", **common))
    fresh = samples(dataset("sa2net", "folder", **common))
    assert not any(torch.equal(one["image"], two["image"]) for one, two in zip(before, after, strict=True))
    assert all(torch.equal(one["image"], two["image"]) for one, two in zip(fresh, after, strict=True))
