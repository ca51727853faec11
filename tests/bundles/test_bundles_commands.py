# SPDX-License-Identifier: Apache-2.0
"""The commands of a bundle's README as people type them, each in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bundle_tools import ROOT, WIDTH, read_json

from sa2_monai.data import read_label
from tests.support.programs import run_program, run_untraced

Trained = Callable[[str], Path]
pytestmark = pytest.mark.integration
SMALL = ("--roi_size", "[32,32]", "--batch_size", "2", "--num_workers", "0", "--device", "cpu", "--amp", "False")


def narrow(bundle: str) -> list[str]:
    return [word for name, value in WIDTH[bundle].items() for word in (f"--{name}", str(value))]


def monai_bundle(bundle: str, *words: object, launcher: tuple[str, ...] = (), fresh: bool = False) -> str:
    """Run ``python -m monai.bundle`` in the folder of the bundle; return all that was printed."""
    command = [*(launcher or (sys.executable,)), "-m", "monai.bundle", *map(str, words), *SMALL, *narrow(bundle)]
    run = run_untraced if launcher or fresh else run_program
    done = run(command, ROOT / bundle, OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-4000:]
    return printed


def test_training_with_overrides(bundle: str, images: Path, tmp_path: Path) -> None:
    before = sorted((ROOT / bundle).rglob("*"))
    printed = monai_bundle(
        *(bundle, "run", "training"),
        *("--meta_file", "['configs/metadata.json','configs/sample_meta.json']"),
        *("--config_file", "['configs/train.yaml','configs/sample.yaml']"),
        *("--logging_file", "configs/logging.conf"),
        *("--dataset_dir", images, "--bundle_root", tmp_path),
        *(
            "--train#trainer#max_epochs",
            1,
            "--optimizer#lr",
            0.01,
            "--loss#loss",
            "{'_target_':'DiceLoss','sigmoid':True}",
        ),
        fresh=True,
    )
    assert printed.count("SupervisedTrainer: Engine run finished") == 1
    assert read_json(tmp_path / "eval" / "run.json")["configuration"]["max_epochs"] == 1
    last = torch.load(tmp_path / "models" / "last_state.pt", weights_only=True)
    assert last["settings"]["optimizer"]["groups"][0]["lr"] == 0.01
    assert (tmp_path / "models" / "model.pt").is_file()
    assert sorted((ROOT / bundle).rglob("*")) == before, "nothing is written into the checkout"


def test_the_default_action_then_evaluation(bundle: str, images: Path, tmp_path: Path) -> None:
    common = ("--dataset_dir", images, "--bundle_root", tmp_path)
    monai_bundle(
        bundle, "run", "--config_file", "['configs/train.yaml','configs/sample.yaml']", *common, "--max_epochs", 1
    )
    assert torch.load(tmp_path / "models" / "last_state.pt", weights_only=True)["engine"]["epoch"] == 1
    printed = monai_bundle(
        bundle, "run", "--config_file", "['configs/train.yaml','configs/sample.yaml','configs/evaluate.yaml']", *common
    )
    assert "Dice, mean of class means" in printed
    assert "SupervisedTrainer" not in printed
    names = {path.name for path in (tmp_path / "eval").iterdir()}
    assert {"metrics_per_case.csv", "metrics_summary.json", "table.txt", "overlays", "predictions"} <= names


def test_inference_of_a_folder(bundle: str, trained: Trained, images: Path, tmp_path: Path) -> None:
    monai_bundle(
        *(bundle, "run", "--config_file", "['configs/inference.yaml','configs/sample.yaml']"),
        *("--dataset_dir", images / "images", "--ckpt_dir", trained("windows") / "models"),
        *("--output_dir", tmp_path, "--save_probabilities", "True"),
    )
    assert len(list((tmp_path / "predictions").glob("*_prob.png"))) == 8
    assert read_label(tmp_path / "predictions" / "he_train_000.png").shape == (48, 40)


def test_two_processes(bundle: str, images: Path, tmp_path: Path) -> None:
    printed = monai_bundle(
        *(bundle, "run", "training"),
        *("--config_file", "['configs/train.yaml','configs/sample.yaml','configs/multi_gpu_train.yaml']"),
        *("--dataset_dir", images, "--bundle_root", tmp_path, "--max_epochs", 1),
        launcher=(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"),
    )
    assert printed.count("saved the weights of epoch 1") == 1
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["last_state.pt", "model.json", "model.pt"]
    assert read_json(tmp_path / "eval" / "run.json")["processes"] == 2
    state = torch.load(tmp_path / "models" / "model.pt", weights_only=True)
    assert not any(name.startswith("module.") for name in state)
    last = torch.load(tmp_path / "models" / "last_state.pt", weights_only=True)
    assert (last["engine"]["epoch"], last["engine"]["iteration"]) == (1, 1)  # 4 cases, 2 processes, batches of 2


def test_checks_and_export(bundle: str, trained: Trained, tmp_path: Path) -> None:
    printed = monai_bundle(
        *(bundle, "verify_net_in_out", "--net_id", "network_def"),
        *("--meta_file", "configs/metadata.json", "--config_file", "configs/inference.yaml"),
    )
    assert "data shape of network is verified with no error." in printed
    printed = monai_bundle(
        *(bundle, "ckpt_export", "--config_file", "configs/inference.yaml", "--meta_file", "configs/metadata.json"),
        *("--ckpt_file", trained("whole") / "models" / "model.pt", "--filepath", tmp_path / "model.ts"),
    )
    assert f"exported to file: {tmp_path / 'model.ts'}." in printed
    assert torch.jit.load(tmp_path / "model.ts")(torch.zeros(1, 3, 32, 32)).shape == (1, 1, 32, 32)
