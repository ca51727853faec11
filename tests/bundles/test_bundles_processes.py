# SPDX-License-Identifier: Apache-2.0
"""Bundles in two processes: the same training and the same report as in one, files of the first process only."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from bundle_tools import BUNDLES, make_workflow, read_json, run

from sa2_monai.data import make_sample

SLICES = 4
# Means over the samples of a step, whatever process they are in; all slices of a volume are drawn, in any order.
VOLUMES: dict[str, Any] = {
    "class_names": ["background", "ball"],
    "loss_name": "cross_entropy",
    "augment": False,
    "foreground": 0.0,
    "max_epochs": 2,
}
IMAGES: dict[str, Any] = {"max_epochs": 4, "batch_size": 1, "learning_rate": 5e-2}  # enough for both classes
OVERLAYS = ("multi_gpu_train", "multi_gpu_evaluate")


def make_volumes(folder: Path) -> Path:
    """A bright ball in noise: 2 volumes for training, 1 for validation, 3 for the test."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(24), np.arange(24), np.arange(SLICES), indexing="ij"))
    for part, count in (("train", 2), ("val", 1), ("test", 3)):
        for number in range(count):
            centre = np.array([8 + 3 * number, 12, 2])[:, None, None, None]
            label = (((grid - centre) ** 2).sum(axis=0) < 30 + 5 * number).astype(np.uint8)
            image = (100 * label + rng.normal(0, 10, label.shape)).astype(np.float32)
            for kind, array in (("images", image), ("labels", label)):
                path = folder / part / kind / f"{part}_{number}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                nib.save(nib.Nifti1Image(array, np.diag([1.5, 1.5, 4.0, 1.0])), path)
    return folder


def volumes_run(folder: Path, out: str, *names: str, **more: Any) -> None:
    run(
        *("daeformer", "train", "nifti_folder", *names),
        **{"bundle_root": str(folder / out), "dataset_dir": str(folder / "volumes"), **VOLUMES, **more},
    )


def images_run(folder: Path, out: str, *names: str, **more: Any) -> None:
    run(
        *("sa2net", "train", "sample", *names),
        **{"bundle_root": str(folder / out), "dataset_dir": str(folder / "images"), **IMAGES, **more},
    )


def evaluations(folder: Path, out: str, *names: str, **more: Any) -> None:
    """Both of them on the weights that two processes have trained."""
    for evaluate, kind in ((volumes_run, "volumes"), (images_run, "images")):
        files = {"ckpt_path": str(folder / f"two_{kind}" / "models" / "model.pt")}
        evaluate(folder, f"{out}_{kind}", "evaluate", *names, **files, **more)


def work(rank: int, folder: Path) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=120))
    together: dict[str, Any] = {"finalize": []}  # the processes stay together until the last run
    try:
        volumes_run(folder, "two_volumes", "multi_gpu_train", batch_size=SLICES, **together)
        images_run(folder, "two_images", "multi_gpu_train", **{**together, "max_epochs": 1})
        images_run(folder, "two_images", "multi_gpu_train", resume=True, **together)
        images_run(folder, "straight", "multi_gpu_train", **together)
        evaluations(folder, "two", "multi_gpu_evaluate", **together)
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have written, and one process beside it."""
    root = tmp_path_factory.mktemp("processes")
    make_sample(root / "images", seed=0, num_training=3, num_validation=3, num_test=1, size=(40, 48))
    make_volumes(root / "volumes")
    mp.spawn(work, (root,), nprocs=2)
    volumes_run(root, "one_volumes", batch_size=2 * SLICES)
    evaluations(root, "one")
    return root


def weights(root: Path) -> dict[str, torch.Tensor]:
    return torch.load(root / "models" / "model.pt", weights_only=True)


@pytest.mark.integration
def test_training(folder: Path) -> None:
    """A step sees the same samples, so that the weights are the same but for the order of sums."""
    one, two = (weights(folder / f"{name}_volumes") for name in ("one", "two"))
    assert one.keys() == two.keys(), "plain names, without the prefix of DistributedDataParallel"
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-6, msg=name)
    scores = [read_json(folder / f"{name}_volumes" / "models" / "model.json")["metric"] for name in ("one", "two")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-9), "one case, that both processes have"
    last = torch.load(folder / "two_volumes" / "models" / "last_state.pt", weights_only=True)
    assert (last["engine"]["epoch"], last["engine"]["iteration"]) == (2, 2)


@pytest.mark.integration
def test_resume(folder: Path) -> None:
    """3 images in 2 processes: one is left out of an epoch, the order is that of the epoch; batch norm in both."""
    states = [
        torch.load(folder / n / "models" / "last_state.pt", weights_only=True) for n in ("two_images", "straight")
    ]
    assert [state["engine"]["iteration"] for state in states] == [4, 4]
    assert all(torch.equal(states[0]["model"][name], tensor) for name, tensor in states[1]["model"].items())
    assert states[0]["evaluator"] == states[1]["evaluator"]


@pytest.mark.integration
@pytest.mark.parametrize(("kind", "cases"), [("volumes", 3), ("images", 1)])
def test_report(folder: Path, kind: str, cases: int) -> None:
    """Unequal numbers of cases, and fewer cases than processes."""
    one, two = (folder / f"{name}_{kind}" / "eval" for name in ("one", "two"))
    for name in ("metrics_per_case.csv", "metrics_summary.json"):
        expected, found = ((root / name).read_text(encoding="utf-8") for root in (one, two))
        assert found.replace(f"two_{kind}", f"one_{kind}") == expected, name
    summary = read_json(two / "metrics_summary.json")
    assert summary["cases"] == cases
    (values,) = summary["per_class"].values()
    assert 0.1 < values["dice"]["mean"] < 0.99, "neither nothing nor everything was predicted"
    assert len(list((two / "predictions").iterdir())) == cases
    record = read_json(two / "run_evaluate.json")
    assert (record["status"], record["processes"], record["inputs"]["count"]) == ("completed", 2, cases)
    assert {"report.html", "overlays", "table.txt"} <= {path.name for path in two.iterdir()}


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["volumes", "images"])
def test_only_the_first_process_writes(folder: Path, kind: str) -> None:
    root = folder / f"two_{kind}"
    assert sorted(path.name for path in (root / "models").iterdir() if path.is_file()) == [
        *("last_state.pt", "last_state_before.pt", "model.json", "model.pt")
    ]
    logs = [path.name.split(".") for path in (root / "eval").glob("events.out.tfevents.*")]
    assert len({parts[-2] for parts in logs}) == 1, "the number of the process that wrote them"
    assert read_json(root / "eval" / "run.json")["processes"] == 2


@pytest.mark.parametrize("bundle", BUNDLES)
def test_switches(bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics over all processes by a switch."""
    monkeypatch.setattr("torch.nn.parallel.DistributedDataParallel", lambda module, device_ids: module)
    for switch in (False, True):
        parser = make_workflow(bundle, "train", "multi_gpu_train", sync_batchnorm=switch).parser
        kinds = {type(module).__name__ for module in parser.get_parsed_content("network").modules()}
        has = not kinds.isdisjoint({"BatchNorm2d", "SyncBatchNorm"})
        assert ("SyncBatchNorm" in kinds, "BatchNorm2d" in kinds) == (has and switch, has and not switch)
        assert has == (bundle not in ("daeformer", "hsaunet"))


def test_without_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    from sa2_monai.training import start_processes

    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(RuntimeError, match=r"RANK.* are not set in the environment\. Start it with 'torchrun"):
        start_processes("cpu")
    with pytest.raises(ValueError, match="timeout of the processes is 0 seconds"):
        start_processes("cpu", 0)
