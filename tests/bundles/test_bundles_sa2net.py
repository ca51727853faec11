# SPDX-License-Identifier: Apache-2.0
"""SA2-Net's data sets: what their overlays make of losses, rates, intensities, volumes and published scores."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bundle_tools import Merge, config_files, configs, make_workflow, metadata, read_json, resolved, run
from monai.bundle import verify_net_in_out
from monai.data import MetaTensor
from monai.transforms import Compose, OneOf

from sa2_monai.cli import main
from sa2_monai.data import load_datalist, read_image, read_label
from sa2_monai.networks import create_network
from sa2_monai.weights import save_weights
from tests.support.miniatures import MINI

# MONAI announces each list of files that it is given as a warning.
pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")
NEW = ("acdc", "acdc_archive", "isic2018", "nifti_folder", "segpc")
STRUCTURES = ["background", "right ventricle", "myocardium", "left ventricle"]


@pytest.fixture(scope="module")
def acdc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "acdc"
    MINI["acdc"](folder)
    return folder


@pytest.fixture(scope="module")
def segpc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "segpc"
    MINI["segpc"](folder)
    return folder


def switches(dataset: str, *names: str) -> list[Any]:
    return resolved({**Merge("sa2net", ("train", dataset)).load(), "device": "cpu", "base_channels": 4}, *names)


def test_the_published_losses() -> None:
    """Sections 8.2 to 8.4 of the specification, once more with NumPy; four outputs are added up."""
    rng = np.random.default_rng(0)
    for dataset, classes in (("segpc", 2), ("isic2018", 2), ("acdc", 4), ("acdc_archive", 4)):
        logits = rng.normal(size=(3, classes, 5, 6))
        target = rng.integers(0, classes, (3, 1, 5, 6))
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        y = (target == np.arange(classes)[None, :, None, None]).astype(float)
        entropy = -(y * np.log(p)).sum(axis=1).mean()
        over = (0, 2, 3)
        if classes == 2:
            dice = 1 - (2 * (p * y).sum(over) / ((p + y).sum(over) + 1e-6)).mean()
            expected = 0.5 * dice + 0.5 * entropy
        else:
            dice = 1 - ((2 * (p * y).sum(over) + 1e-5) / ((p**2).sum(over) + (y**2).sum(over) + 1e-5)).mean()
            expected = 0.7 * dice + 0.3 * entropy
        (loss,) = switches(dataset, "loss")
        outputs = [torch.from_numpy(logits).float()] * 4
        assert float(loss(outputs, torch.from_numpy(target).float())) == pytest.approx(4 * expected, rel=1e-5), dataset


@pytest.mark.parametrize(("dataset", "rate", "decay"), [("acdc", 1.0e-4, 1.0e-4), ("segpc", 1.0e-4, 0.0)])
def test_the_published_optimiser(dataset: str, rate: float, decay: float) -> None:
    optimizer, scheduler, schedule = switches(dataset, "optimizer", "lr_scheduler", "schedule")
    assert optimizer.param_groups[0]["weight_decay"] == decay
    rates = []
    for _ in range(12):
        optimizer.step()
        scheduler.step(*([0.5] if schedule == "plateau" else []))
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[:11] == [pytest.approx(rate)] * 11
    assert rates[11] == pytest.approx(rate / 2 if schedule == "plateau" else rate)  # ten epochs of patience are over


def test_a_plateau_lowers_the_rate_and_survives_an_interruption(segpc: Path, tmp_path: Path) -> None:
    never_better = {"patience": 0, "threshold": 1.0, "threshold_mode": "abs"}
    common = {"dataset_dir": str(segpc), "learning_rate": 0.01, "batch_size": 5}
    common.update({f"schedules#plateau#{key}": value for key, value in never_better.items()})
    run("sa2net", "train", "segpc", bundle_root=str(tmp_path / "a"), max_epochs=2, **common)
    for epochs in (1, 2):
        root = str(tmp_path / "b")
        run("sa2net", "train", "segpc", bundle_root=root, max_epochs=epochs, resume=epochs == 2, **common)
    one, two = (torch.load(tmp_path / name / "models" / "last_state.pt", weights_only=True) for name in "ab")
    # Halved after the second epoch; without the state of the first it would be the best one.
    assert one["optimizer"]["param_groups"][0]["lr"] == two["optimizer"]["param_groups"][0]["lr"] == 0.005
    assert one["lr_scheduler"] == two["lr_scheduler"]
    assert all(torch.equal(one["model"][name], two["model"][name]) for name in one["model"])


def test_four_channels_share_one_range_after_the_resize(segpc: Path) -> None:
    case = load_datalist(segpc, "training", "segpc", check=False)[0]
    stack = np.concatenate([read_image(path) for path in case["image"]], axis=2).astype(np.float32) / 255
    small = F.interpolate(torch.from_numpy(stack).permute(2, 0, 1)[None], size=(32, 48), mode="bilinear")[0]
    expected = (small - small.min()) / (small.max() - small.min())
    assert expected.shape == (4, 32, 48)
    seen = []
    for base, *names in (
        ("train", "validate#preprocessing", "validate#inferer"),
        ("inference", "preprocessing", "inferer"),
    ):
        preprocessing, inferer = resolved({**Merge("sa2net", (base, "segpc")).load(), "roi_size": [32, 48]}, *names)
        inferer(preprocessing(dict(case))["image"][None], lambda x: seen.append(x[0]) or x[:, :2])
    (chain,) = resolved({**Merge("sa2net", ("train", "segpc")).load(), "roi_size": [32, 48]}, "train#preprocessing")
    seen.append(chain(dict(case))["image"])
    for image in seen:
        torch.testing.assert_close(torch.as_tensor(image), expected, rtol=0, atol=1e-5)


def test_patches_that_are_no_square_keep_their_size() -> None:
    """A quarter turn would give a batch two sizes."""
    for dataset in ("folder", "monuseg"):
        config = {**Merge("sa2net", ("train", dataset)).load(), "roi_size": [16, 32]}
        (chain,) = resolved(config, "train#preprocessing")
        (start,) = [i for i, transform in enumerate(chain.transforms) if isinstance(transform, OneOf)]
        item = {key: MetaTensor(torch.rand(1, 16, 32)) for key in ("image", "label")}
        tail = Compose(chain.transforms[start:]).set_random_state(seed=0)
        assert {tuple(tail(dict(item))["image"].shape) for _ in range(20)} == {(1, 16, 32)}


def test_families_of_the_paper_protocol() -> None:
    found = {}
    for dataset in ("monuseg", "glas", "folder", *NEW):
        merge = Merge("sa2net", ("train", dataset, "paper", "evaluate", "evaluate_paper"))
        family, options, order, masks = resolved(
            merge.load(), "family", "paper_options", "channel_order", "label_resize"
        )
        assert (options["grid"] is None) == (family == "volume")
        assert (options["nuclei"] == "image") == (family == "cell")
        found[dataset] = (family, order, masks)
    published = ("image", "BGR", "bilinear")
    assert found == {
        **dict.fromkeys(("monuseg", "glas", "folder"), published),
        **dict.fromkeys(("acdc", "acdc_archive", "nifti_folder"), ("volume", "RGB", "nearest-exact")),
        "isic2018": ("pooled", "RGB", "nearest"),
        "segpc": ("cell", "RGB", "nearest"),
    }


def test_the_published_score_of_cells(segpc: Path, tmp_path: Path) -> None:
    """All pixels of all crops, without the nuclei, by hand from the files."""
    common = {"dataset_dir": str(segpc), "bundle_root": str(tmp_path)}
    network = create_network("sa2net", in_channels=4, out_channels=2, base_channels=4)
    torch.manual_seed(0)
    for parameter in network.parameters():  # enough for maps of both classes
        torch.nn.init.normal_(parameter, std=0.3)
    save_weights(network.state_dict(), tmp_path / "models" / "model.pt", {})
    run("sa2net", "train", "segpc", "paper", "evaluate", "evaluate_paper", **common, roi_size=[32, 32])
    tp = total = 0
    for case in load_datalist(segpc, "test", "segpc", check=False):
        prediction = read_label(tmp_path / "eval" / "predictions" / f"{case['case']}.png")
        assert prediction.shape == (32, 32)
        rows, columns = (np.arange(32) * n // 32 for n in read_label(case["label"]).shape)
        label, nucleus = (read_label(path)[np.ix_(rows, columns)] > 0 for path in (case["label"], case["image"][-1]))
        predicted, wanted = (prediction > 0) & ~nucleus, label & ~nucleus
        tp, total = tp + (predicted & wanted).sum(), total + predicted.sum() + wanted.sum()
    summary = read_json(tmp_path / "eval" / "metrics_summary.json")
    assert summary["protocol"]["family"] == "cell"
    assert tp > 0, "the comparison would be empty"
    assert summary["paper"]["dice"] == pytest.approx(2 * tp / total, abs=1e-9)


def test_volumes_are_learned_and_scored(acdc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = {"dataset_dir": str(acdc), "bundle_root": str(tmp_path)}
    run("sa2net", "train", "acdc", max_epochs=6, val_interval=6, learning_rate=2.0e-2, augment=False, **common)
    run("sa2net", "train", "acdc", "evaluate", **common)
    with open(tmp_path / "eval" / "metrics_per_case.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["class_name"] for row in rows} == set(STRUCTURES[1:])
    predictions = tmp_path / "eval" / "predictions"
    references = {case["case"]: case["label"] for case in load_datalist(acdc, "test", "acdc", check=False)}
    dice = []
    for row in rows:
        files = predictions / f"{row['case']}.nii.gz", Path(references[row["case"]])
        prediction, reference = (np.asarray(nib.load(file).dataobj) == int(row["class_value"]) for file in files)
        dice.append(2 * (prediction & reference).sum() / (prediction.sum() + reference.sum()))
        assert float(row["dice"]) == pytest.approx(dice[-1], abs=1e-9)
        assert row["unit"] == "mm"
    assert max(dice) > 0.3, "the comparison would be empty"

    # On the validation cases it is the number that selected the weights.
    run("sa2net", "train", "acdc", "evaluate", section="validation", output_dir=str(tmp_path / "v"), **common)
    summary = read_json(tmp_path / "v" / "metrics_summary.json")
    info = read_json(tmp_path / "models" / "model.json")
    assert summary["overall"]["dice"]["mean_of_class_means"] == pytest.approx(info["metric"], abs=1e-6)
    assert (info["kind"], info["slice_axis"], info["in_channels"]) == ("volumes", "acquisition", 1)

    # The console command takes from the weights that they see volumes.
    words = [str(load_datalist(acdc, "test", "acdc", check=False)[0]["image"]), "--device", "cpu"]
    words += ["--weights", str(tmp_path / "models" / "model.pt"), "--output", str(tmp_path / "cli")]
    assert main(["predict", *words, "--probabilities"]) == 0
    assert "1 label map in" in capsys.readouterr().out
    written = sorted((tmp_path / "cli" / "predictions").iterdir())
    assert len(written) == 1 + len(STRUCTURES)
    (one,) = (path for path in written if "prob" not in path.name)
    first = np.asarray(nib.load(one).dataobj)
    assert np.array_equal(first, np.asarray(nib.load(predictions / f"{rows[0]['case']}.nii.gz").dataobj))
    # A second network adds nothing when it is the same: the ensemble of both.
    run(
        *("sa2net", "train", "acdc", "evaluate", "ensemble"),
        fold_checkpoints=[str(tmp_path / "models" / "model.pt")] * 2,
        output_dir=str(tmp_path / "both"),
        **common,
    )
    both = np.asarray(nib.load(tmp_path / "both" / "predictions" / f"{rows[0]['case']}.nii.gz").dataobj)
    assert np.array_equal(first, both)


def test_one_class_of_own_volumes_in_windows(tmp_path: Path) -> None:
    """One output channel: the probability of the class, in the published loss of one channel."""
    MINI["volumes"](tmp_path / "data")
    common = {"bundle_root": str(tmp_path), "view": "windows", "pixdim": 1.5}
    options = {"max_epochs": 1, "val_interval": 1, "train#trainer#epoch_length": 1, "intensity": "window"}
    run("sa2net", "train", "nifti_folder", dataset_dir=str(tmp_path / "data"), **common, **options)
    info = read_json(tmp_path / "models" / "model.json")
    assert (info["out_channels"], info["view"], info["pixdim"], info["intensity"]) == (1, "windows", 1.5, "window")
    source = sorted((tmp_path / "data" / "imagesTr").iterdir())[0]
    options = {"image_source": str(source), "save_probabilities": True, "intensity": "window", "orientations": "all"}
    run("sa2net", "inference", "nifti_folder", **common, **options)
    folder = tmp_path / "eval" / "predictions"
    label, probability = (nib.load(path).get_fdata() for path in sorted(folder.iterdir()))
    assert label.shape == probability.shape == nib.load(source).shape
    assert np.array_equal(label[probability != 0.5], (probability > 0.5)[probability != 0.5])


@pytest.mark.parametrize("dataset", ["acdc", "segpc"])
def test_properties(dataset: str, acdc: Path, segpc: Path, tmp_path: Path) -> None:
    folder = {"acdc": acdc, "segpc": segpc}[dataset]
    common = {"dataset_dir": str(folder), "bundle_root": str(tmp_path)}
    for names in (("train", dataset), ("inference", dataset)):
        extra = (
            {"dataset_dir": str(next(folder.rglob("*_frame01.nii.gz")))}
            if (dataset, names[0])
            == (
                "acdc",
                "inference",
            )
            else {}
        )
        workflow = make_workflow("sa2net", *names, **{**common, **extra})
        workflow.initialize()
        assert workflow.check_properties() == [], names


def test_an_empty_run_id_trains_volumes_once(acdc: Path, tmp_path: Path) -> None:
    options = {"max_epochs": 1, "train#trainer#epoch_length": 1, "val_interval": 1}
    workflow = make_workflow("sa2net", "train", "acdc", dataset_dir=str(acdc), bundle_root=str(tmp_path), **options)
    workflow.run_id = ""  # what 3D Slicer sends: the whole configuration is evaluated
    workflow.initialize()
    workflow.run()
    assert len(read_json(tmp_path / "eval" / "run.json")["epochs"]) == 1


@pytest.mark.parametrize("dataset", NEW)
def test_verify_net_in_out(dataset: str, caplog: pytest.LogCaptureFixture) -> None:
    meta = [str(configs("sa2net") / "metadata.json"), str(configs("sa2net") / f"{dataset}_meta.json")]
    files = config_files("sa2net", "inference", dataset)
    verify_net_in_out("network_def", meta_file=meta, config_file=files, device="cpu", n=2, base_channels=4)
    assert "data shape of network is verified with no error." in caplog.text
    assert metadata("sa2net", dataset)["network_data_format"]["outputs"]["pred"]["channel_def"]["0"] == "background"
