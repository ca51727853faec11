# SPDX-License-Identifier: Apache-2.0
"""Bundles for volumes train on slices, predict and evaluate volumes: in this process, on very small networks."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_tools import (
    VOLUME_BUNDLES,
    WIDTH,
    config_files,
    configs,
    failure,
    make_workflow,
    metadata,
    read_json,
    run,
)
from monai.bundle import ckpt_export, verify_net_in_out
from monai.transforms import Compose

from sa2_monai.cli import main
from sa2_monai.data import make_sample_volumes
from sa2_monai.inference import FailedCasesError, read_dicom_seg
from sa2_monai.networks import create_network

CLASSES = ["background", "liver", "spleen", "left kidney", "right kidney"]
ONE = VOLUME_BUNDLES[:1]  # for what all bundles have from the same configuration
EVERY = pytest.mark.parametrize("bundle", VOLUME_BUNDLES)
FIRST = pytest.mark.parametrize("bundle", ONE)
Trained = Callable[[str], Path]

# MONAI announces each list of files that it is given as a warning.
pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")


@pytest.fixture(scope="session")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated volumes: 3 for training, 1 for validation, 2 for the test."""
    folder = tmp_path_factory.mktemp("bundle_data") / "volumes"
    make_sample_volumes(folder, seed=0, num_training=3, num_validation=1, num_test=2)
    return folder


@pytest.fixture(scope="session")
def trained_volumes(volumes: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Function that trains a bundle once and returns its root; long enough that a prediction holds some class."""
    roots: dict[str, Path] = {}

    def train(bundle: str) -> Path:
        if bundle not in roots:
            roots[bundle] = tmp_path_factory.mktemp(bundle)
            epochs = 12 if bundle in ONE else 1
            options = {"max_epochs": epochs, "val_interval": epochs, "learning_rate": 1.0e-2, "augment": False}
            run(
                *(bundle, "train", "sample_volumes"),
                bundle_root=str(roots[bundle]),
                dataset_dir=str(volumes),
                **options,
            )
        return roots[bundle]

    return train


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


@EVERY
def test_properties(bundle: str, volumes: Path, tmp_path: Path) -> None:
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(volumes)}
    for names in (("train", "sample_volumes"), ("inference", "sample_volumes")):
        extra = {"image_source": str(volumes / "images")} if names[0] == "inference" else {}
        workflow = make_workflow(bundle, *names, **common, **extra)
        workflow.initialize()
        assert workflow.check_properties() == [], names
    assert not list(tmp_path.rglob("*.pt")), "looking at properties must not train"


@EVERY
def test_training_and_inference(bundle: str, volumes: Path, trained_volumes: Trained, tmp_path: Path) -> None:
    root = trained_volumes(bundle)
    state = weights(root / "models" / "model.pt")
    network = create_network(bundle, in_channels=1, out_channels=5, **WIDTH[bundle])
    network.load_state_dict(state, strict=True)
    info = read_json(root / "models" / "model.json")
    assert (info["network"], info["view"], info["slice_axis"]) == (bundle, "whole", "axial")
    assert (info["roi_size"], info["class_names"]) == ([32, 32], CLASSES)

    source = volumes / "images" / "test_001.nii.gz"
    common = {"bundle_root": str(root), "output_dir": str(tmp_path), "image_source": str(source)}
    run(bundle, "inference", "sample_volumes", **common)
    image, prediction = nib.load(source), nib.load(tmp_path / "predictions" / "test_001.nii.gz")
    assert prediction.shape == image.shape
    assert prediction.get_data_dtype() == np.uint8
    assert np.array_equal(prediction.affine, image.affine)
    for code in ("qform_code", "sform_code", "xyzt_units", "pixdim", "srow_x", "quatern_b"):
        assert np.array_equal(prediction.header[code], image.header[code]), code
    record = read_json(tmp_path / "run_inference.json")
    assert record["status"] == "completed"
    assert record["bundle"] is None  # the root of this run holds no metadata
    assert [case["case"] for case in record["cases"]] == ["test_001"]
    assert list(record["inputs"]["files"]) == [str(source)]
    assert len(record["weights"]["sha256"]) == 64


@FIRST
def test_resume_equals_an_uninterrupted_training(bundle: str, volumes: Path, tmp_path: Path) -> None:
    # The rate falls with each iteration of all epochs: with another number of them the first epoch would be another.
    common = {"dataset_dir": str(volumes), "slices_per_epoch": 6, "val_interval": 1, "schedules#poly#power": 0.0}
    common["augment"] = True  # draws, which depend neither on the workers nor on what was drawn before
    run(bundle, "train", "sample_volumes", bundle_root=str(tmp_path / "straight"), max_epochs=2, **common)
    run(bundle, "train", "sample_volumes", bundle_root=str(tmp_path / "resumed"), max_epochs=1, **common)
    first = weights(tmp_path / "resumed" / "models" / "last_state.pt")["model"]
    common["num_workers"] = 2
    run(bundle, "train", "sample_volumes", bundle_root=str(tmp_path / "resumed"), max_epochs=2, resume=True, **common)
    one, two = (weights(tmp_path / name / "models" / "last_state.pt") for name in ("straight", "resumed"))
    assert same(one["model"], two["model"])
    assert not same(first, two["model"])


@FIRST
def test_evaluation(bundle: str, volumes: Path, trained_volumes: Trained, tmp_path: Path) -> None:
    root = trained_volumes(bundle)
    common = {"dataset_dir": str(volumes), "ckpt_dir": str(root / "models")}
    run(bundle, "train", "sample_volumes", "evaluate", output_dir=str(tmp_path), **common)
    with open(tmp_path / "metrics_per_case.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["class_name"]) for row in rows] == [
        (case, name) for case in ("test_000", "test_001") for name in CLASSES[1:]
    ]
    dice = []
    for row in rows:
        value = int(row["class_value"])
        prediction = voxels(tmp_path / "predictions" / f"{row['case']}.nii.gz") == value
        reference = voxels(volumes / "labels" / f"{row['case']}.nii.gz") == value
        total = prediction.sum() + reference.sum()
        assert row["unit"] == "mm"
        if total:
            dice.append(2 * (prediction & reference).sum() / total)
            assert float(row["dice"]) == pytest.approx(dice[-1], abs=1e-9)
        else:
            assert row["status"] == "absent"
    assert max(dice) > 0.2, "the comparison would be empty"
    assert (tmp_path / "report.html").is_file()

    # On the validation cases it is the number that selected the weights.
    run(bundle, "train", "sample_volumes", "evaluate", output_dir=str(tmp_path / "v"), section="validation", **common)
    selected = read_json(root / "models" / "model.json")["metric"]
    summary = read_json(tmp_path / "v" / "metrics_summary.json")
    assert summary["overall"]["dice"]["mean_of_class_means"] == pytest.approx(selected, abs=1e-6)

    # Weights that see the whole slice give the published numbers, too; other weights are refused.
    names = (bundle, "train", "sample_volumes", "paper", "evaluate", "evaluate_paper")
    run(*names, output_dir=str(tmp_path / "p"), **common)
    published = read_json(tmp_path / "p" / "metrics_summary.json")
    assert (published["protocol"]["name"], published["protocol"]["family"]) == ("paper", "volume")
    message = failure(*names, output_dir=str(tmp_path / "q"), view="windows", **common)
    assert "view is 'whole', the configuration says 'windows'" in message
    message = failure(*names, output_dir=str(tmp_path / "q"), slice_axis="coronal", **common)
    assert "slice_axis is 'axial', the configuration says 'coronal'" in message


@FIRST
def test_training_for_the_published_arithmetic(bundle: str, volumes: Path, tmp_path: Path) -> None:
    common = {"dataset_dir": str(volumes), "bundle_root": str(tmp_path), "max_epochs": 1, "slices_per_epoch": 6}
    run(bundle, "train", "sample_volumes", "paper", val_interval=1, **common)
    assert read_json(tmp_path / "models" / "model.json")["view"] == "paper"


@FIRST
def test_windows_at_a_pixel_size_of_their_own(bundle: str, volumes: Path, tmp_path: Path) -> None:
    common = {"bundle_root": str(tmp_path), "view": "windows", "pixdim": 4.0, "slice_axis": "coronal"}
    run(
        *(bundle, "train", "sample_volumes"),
        **common,
        dataset_dir=str(volumes),
        max_epochs=1,
        val_interval=1,
        slices_per_epoch=6,
    )
    source = volumes / "images" / "test_000.nii.gz"
    options = {"image_source": str(source), "save_probabilities": True, "orientations": "all"}
    run(bundle, "inference", "sample_volumes", **common, **options)
    folder = tmp_path / "eval" / "predictions"
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 6
    assert "test_000.nii.gz" in names
    maps = [nib.load(folder / name).get_fdata() for name in names if "prob" in name]
    assert np.allclose(sum(maps), 1, atol=1e-2)


@FIRST
def test_one_bad_case_does_not_end_the_others(
    bundle: str, volumes: Path, trained_volumes: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    for name in ("test_000", "test_001"):
        shutil.copy(volumes / "images" / f"{name}.nii.gz", folder)
    whole = (folder / "test_000.nii.gz").read_bytes()
    (folder / "a_half.nii.gz").write_bytes(whole[: len(whole) // 2])
    image = nib.load(folder / "test_000.nii.gz")
    holes = image.get_fdata()
    holes[3, 4, 5] = np.nan
    nib.save(nib.Nifti1Image(holes, image.affine), folder / "b_nan.nii.gz")

    options = {"image_source": str(folder), "output_dir": str(tmp_path / "out"), "bundle_root": str(tmp_path)}
    checkpoint = str(trained_volumes(bundle) / "models" / "model.pt")
    workflow = make_workflow(bundle, "inference", "sample_volumes", **options, ckpt_path=checkpoint)
    with pytest.raises(RuntimeError) as caught:
        workflow.run()
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, FailedCasesError):
        error = error.__cause__ or error.__context__
    assert isinstance(error, FailedCasesError)
    assert set(error.failures) == {"a_half", "b_nan"}
    assert str(folder / "a_half.nii.gz") in error.failures["a_half"]
    assert str(folder / "b_nan.nii.gz") in error.failures["b_nan"]
    written = sorted(path.name for path in (tmp_path / "out" / "predictions").iterdir())
    assert written == ["test_000.nii.gz", "test_001.nii.gz"]
    record = read_json(tmp_path / "out" / "run_inference.json")
    assert record["status"] == "completed with failed cases"
    assert [case["status"] for case in record["cases"]] == ["failed", "failed", "ok", "ok"]

    # The console command finds the bundle by the weights, and its exit code tells.
    words = [str(folder), "--weights", checkpoint, "--output", str(tmp_path / "cli"), "--device", "cpu"]
    words += ["--largest-component", "--min-volume", "10000"]  # as in the overlay
    assert main(["predict", *words]) == 1
    printed = capsys.readouterr()
    assert "2 of 4 cases failed" in printed.err
    assert str(tmp_path / "cli" / "predictions" / "test_001.nii.gz") in printed.out
    first, second = (voxels(tmp_path / run / "predictions" / "test_001.nii.gz") for run in ("out", "cli"))
    assert np.array_equal(first, second)


@FIRST
def test_what_monai_label_runs(bundle: str, volumes: Path, trained_volumes: Trained) -> None:
    """Preprocessing, inferer and postprocessing without the writers, on a dictionary."""
    workflow = make_workflow(bundle, "inference", "sample_volumes", device="cpu")
    parts = (workflow.parser.get_parsed_content(f"{name}") for name in ("preprocessing", "inferer", "postprocessing"))
    before, inferer, after = parts
    network = create_network(bundle, in_channels=1, out_channels=5, **WIDTH[bundle]).eval()
    source = volumes / "images" / "train_002.nii.gz"
    item = before({"image": str(source)})
    item["pred"] = inferer(item["image"][None], network)[0]
    chain = Compose([t for t in after.transforms if "SaveImage" not in type(t).__name__])
    label = chain(item)["pred"]
    assert tuple(label.shape) == (1, *nib.load(source).shape)  # it drops the channel, MONAI Deploy wants it
    assert label.dtype in (np.uint8, torch.uint8)


@EVERY
def test_verify_net_in_out(bundle: str, caplog: pytest.LogCaptureFixture) -> None:
    meta = [str(configs(bundle) / "metadata.json"), str(configs(bundle) / "sample_volumes_meta.json")]
    width = {key: value for key, value in WIDTH[bundle].items() if key != "window_size"}
    verify_net_in_out(
        "network_def",
        meta_file=meta,
        config_file=config_files(bundle, "inference", "sample_volumes"),
        device="cpu",
        n=2,
        **width,
    )
    assert "data shape of network is verified with no error." in caplog.text


@FIRST
def test_export(bundle: str, trained_volumes: Trained, tmp_path: Path) -> None:
    ckpt_export(
        "network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(trained_volumes(bundle) / "models" / "model.pt"),
        meta_file=str(configs(bundle) / "metadata.json"),
        config_file=config_files(bundle, "inference", "sample_volumes"),
        **WIDTH[bundle],
    )
    network = create_network(bundle, in_channels=1, out_channels=5, **WIDTH[bundle]).eval()
    network.load_state_dict(weights(trained_volumes(bundle) / "models" / "model.pt"))
    x = torch.rand(2, 1, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(x), network(x), rtol=1e-4, atol=1e-4)


def write_preprocessed(folder: Path) -> None:
    """A miniature of the TransUNet archive: slices of 3 training cases, one test volume."""
    h5py = pytest.importorskip("h5py", reason="extra `archives` is not installed")
    (folder / "train_npz").mkdir(parents=True)
    (folder / "test_vol_h5").mkdir()
    rng = np.random.default_rng(0)

    def stack(depth: int) -> dict[str, Any]:
        label = np.zeros((depth, 40, 40), dtype=np.float32)
        label[:, 4:30, 4:20] = 5
        label[:, 4:16, 24:34] = 7
        label[:, 30:33, 30:33] = 1
        image = 0.1 * label + 0.05 * rng.random(label.shape, dtype=np.float32)
        return {"image": image.astype(np.float32), "label": label}

    for case in ("case0005", "case0006", "case0007"):
        arrays = stack(3)
        for k in range(3):
            np.savez(folder / "train_npz" / f"{case}_slice{k:03d}.npz", **{key: a[k] for key, a in arrays.items()})
    with h5py.File(folder / "test_vol_h5" / "case0001.npy.h5", "w") as file:
        for key, array in stack(4).items():
            file[key] = array


@FIRST
def test_the_slices_of_the_literature(bundle: str, tmp_path: Path) -> None:
    write_preprocessed(tmp_path / "data")
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(tmp_path / "data"), "num_folds": 3}
    run(bundle, "train", "synapse_archive", max_epochs=1, val_interval=1, **common)
    names = list(metadata(bundle)["network_data_format"]["outputs"]["pred"]["channel_def"].values())
    assert read_json(tmp_path / "models" / "model.json")["class_names"] == names
    record = read_json(tmp_path / "eval" / "run.json")
    assert (record["status"], record["inputs"]["count"]) == ("completed", 6)


@FIRST
def test_the_volumes_may_lie_on_disk(bundle: str, volumes: Path, tmp_path: Path) -> None:
    """The same numbers as from memory."""
    common = {"dataset_dir": str(volumes), "max_epochs": 2, "slices_per_epoch": 6, "val_interval": 2}
    run(bundle, "train", "sample_volumes", bundle_root=str(tmp_path / "memory"), **common)
    run(bundle, "train", "sample_volumes", "disk_cache", bundle_root=str(tmp_path / "disk"), **common)
    assert len(list((tmp_path / "disk" / "cache").iterdir())) == 3
    one, two = (weights(tmp_path / name / "models" / "last_state.pt")["model"] for name in ("memory", "disk"))
    assert same(one, two)


@FIRST
@pytest.mark.realdata
def test_a_real_dicom_series(bundle: str, real_data: Path, trained_volumes: Trained, tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="extra `dicom` is not installed")
    SimpleITK = pytest.importorskip("SimpleITK")
    series = real_data / "totalseg_ct_example" / "dicom" / "ct_series"
    checkpoint = str(trained_volumes(bundle) / "models" / "model.pt")
    words = [str(series), "--weights", checkpoint, "--output", str(tmp_path), "--device", "cpu", "--dicom-seg"]
    assert main(["predict", *words]) == 0
    (nifti,) = (tmp_path / "predictions").glob("*.nii.gz")
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    image, label = reader.Execute(), SimpleITK.ReadImage(str(nifti))
    assert label.GetSize() == image.GetSize()
    for name in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert np.allclose(getattr(label, name)(), getattr(image, name)(), atol=1e-4), name
    segments, affine = read_dicom_seg(nifti.with_name(nifti.name.replace(".nii.gz", ".dcm")), series)
    assert np.array_equal(segments, voxels(nifti))
    assert np.allclose(affine, nib.load(nifti).affine, atol=1e-4)


@FIRST
@pytest.mark.realdata
def test_real_hippocampi(bundle: str, real_data: Path, tmp_path: Path, untraced: None) -> None:
    names = ["background", "anterior", "posterior"]
    common = {"dataset_dir": str(real_data / "msd_hippocampus"), "bundle_root": str(tmp_path), "class_names": names}
    run(bundle, "train", "sample_volumes", max_epochs=1, val_interval=1, slices_per_epoch=40, **common)
    run(bundle, "train", "sample_volumes", "evaluate", min_volume=False, section="validation", **common)
    summary = read_json(tmp_path / "eval" / "metrics_summary.json")
    assert (summary["cases"], list(summary["per_class"])) == (10, names[1:])
    assert summary["protocol"]["unit"] == "mm"
