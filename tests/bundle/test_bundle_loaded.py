# SPDX-License-Identifier: Apache-2.0
"""Bundles from Python: predictions of arrays, files and lists; evaluation; training."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

import sa2_monai
from sa2_monai import load_bundle
from sa2_monai.bundle import copy_bundle, find_bundle
from sa2_monai.bundle import network as bundle_network
from sa2_monai.bundle.prediction.arrays import write_array
from sa2_monai.cli.main import main
from sa2_monai.data import make_sample, read_label
from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.report.history import read_history
from sa2_monai.networks import SA2Net
from sa2_monai.training import LoadWeights
from tests.support.small_models import GLANDS, save_model


@pytest.fixture
def image() -> np.ndarray:
    """Smooth colours, 40 x 56 (H x W)."""
    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(2))
    smooth = torch.nn.functional.interpolate(coarse, size=(40, 56), mode="bicubic").clamp(0, 1)
    return (smooth[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


@pytest.fixture
def volume() -> np.ndarray:
    """Smooth intensities, 24 x 28 x 5."""
    coarse = torch.rand(1, 1, 5, 6, 3, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(coarse, size=(24, 28, 5), mode="trilinear")[0, 0].numpy() * 1000


def test_arrays_and_files_of_images_give_what_the_command_gives(
    glands: Path, image: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = load_bundle("sa2net", weights=glands, device="cpu")
    assert (bundle.name, bundle.class_names, bundle.sees_volumes) == ("sa2net", ["background", "gland"], False)
    assert bundle.settings["roi_size"] == [32, 32]
    assert bundle.metadata["name"].startswith("SA2-Net")
    assert "sa2net" in repr(bundle)
    for name in ("a", "b"):
        Image.fromarray(image[: 40 if name == "a" else 30]).save(tmp_path / f"{name}.png")
    arguments = [str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--weights", str(glands), "--device", "cpu"]
    assert main(["predict", *arguments, "--output", str(tmp_path / "command")]) == 0
    expected = [read_label(tmp_path / "command" / "predictions" / f"{name}.png") for name in ("a", "b")]
    assert set(np.unique(expected[0])) == {0, 1}
    assert expected[0].shape == (40, 56)

    one = bundle.predict(image)
    assert isinstance(one, np.ndarray)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, expected[0])
    network = bundle.network()
    as_tensor, as_float, shorter = bundle.predict([torch.tensor(image), image / 255, image[:30]])
    np.testing.assert_array_equal(as_tensor, expected[0])
    assert (as_float == expected[0]).mean() > 0.99
    np.testing.assert_array_equal(shorter, expected[1])
    assert bundle.network() is network, "built once"
    for found, mask in zip(bundle.predict(tmp_path), expected, strict=True):
        np.testing.assert_array_equal(found, mask)
    path = bundle.predict(tmp_path / "b.png", output_dir=tmp_path / "out", output_postfix="seg")
    assert path == tmp_path / "out" / "b_seg.png"
    np.testing.assert_array_equal(read_label(path), expected[1])
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["b_seg.png"]


def test_the_network_is_built_and_loaded_once(glands: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded bundle stays warm: later predictions neither build the network nor read its weights."""
    done: list[str] = []
    for module, name in ((bundle_network, "load_weights"), (SA2Net, "__init__"), (LoadWeights, "__call__")):
        work = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, _w=work, _n=name, **k: done.append(_n) or _w(*a, **k))
    bundle = load_bundle("sa2net", weights=glands, device="cpu")
    first = bundle.predict(image)
    assert sorted(done) == ["__init__", "load_weights"]
    assert np.array_equal(bundle.predict(image), first)
    assert len(done) == 2


def test_arrays_and_files_of_volumes(heart: Path, volume: np.ndarray, tmp_path: Path) -> None:
    bundle = load_bundle("hsaunet", weights=heart, device="cpu")
    affine = np.array([[0, -1.5, 0, 7], [1.5, 0, 0, -3], [0, 0, 8, 1], [0, 0, 0, 1.0]])
    nib.save(nib.Nifti1Image(volume, affine), tmp_path / "heart.nii.gz")
    path = bundle.predict(tmp_path / "heart.nii.gz", output_dir=tmp_path / "out")
    written = nib.load(path)
    np.testing.assert_allclose(written.affine, affine, atol=1e-6)
    labels = np.asarray(written.dataobj)
    assert labels.shape == volume.shape
    assert len(np.unique(labels)) > 1
    np.testing.assert_array_equal(bundle.predict(tmp_path / "heart.nii.gz"), labels)
    np.testing.assert_array_equal(bundle.predict(volume.astype(np.float64), affine=affine), labels)
    (alone,) = bundle.predict([volume])  # 1 mm in all directions: the slices are the same
    assert alone.shape == volume.shape


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "uint64", "float16"])
def test_volumes_keep_their_values_as_files(dtype: str, tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    stored = np.asarray(nib.load(write_array(values, tmp_path / "x.1", volume=True)).dataobj)
    np.testing.assert_array_equal(stored, values.astype(np.float64))
    big = np.full((2, 2, 2), 2**40)
    assert np.asarray(nib.load(write_array(big, tmp_path / "y", volume=True)).dataobj)[0, 0, 0] == 2.0**40


@pytest.mark.parametrize(("determinant", "fits"), [(2e-12, True), (5e-13, False)])
def test_the_smallest_voxels_of_an_array(determinant: float, fits: bool, tmp_path: Path) -> None:
    affine = np.diag([*[determinant ** (1 / 3)] * 3, 1])
    if fits:
        assert write_array(np.zeros((2, 2, 2)), tmp_path / "v", True, affine).is_file()
    else:
        with pytest.raises(ValueError, match="expected an invertible matrix"):
            write_array(np.zeros((2, 2, 2)), tmp_path / "v", True, affine)


def test_a_packaged_zip_file(glands_bundle: tuple[Path, Path], image: np.ndarray, tmp_path: Path) -> None:
    folder, archive = glands_bundle
    zipped = load_bundle(archive, device="cpu")
    np.testing.assert_array_equal(zipped.predict(image), load_bundle(folder, device="cpu").predict(image))
    assert "GlaS" in zipped.metadata["data_source"]
    with pytest.raises(ValueError, match=r"comes from a zip file.*output_dir"):
        zipped.train(tmp_path)
    with pytest.raises(ValueError, match=r"no overlay for a data set 'folder'; it is made for one data set"):
        zipped.evaluate(tmp_path, dataset="folder")
    scratch = zipped.root
    del zipped
    gc.collect()  # pydoc.locate, by which MONAI finds a _target_, ties its callers into a cycle
    assert not scratch.exists()


def test_training_and_evaluation(glands: Path, tmp_path: Path) -> None:
    make_sample(tmp_path / "nuclei", seed=0, num_training=4, num_validation=2, num_test=2, size=(48, 40))
    bundle = load_bundle("sa2net", weights=glands, device="cpu")
    before = torch.load(glands, weights_only=True)
    short: dict[str, Any] = {"num_workers": 0, "class_names": ["background", "nucleus"]}
    new = bundle.train(
        tmp_path / "nuclei", "folder", output_dir=tmp_path / "run", max_epochs=1, learning_rate=1e-6, **short
    )
    assert new == bundle.weights == tmp_path / "run" / "models" / "model.pt"
    assert bundle.class_names == ["background", "nucleus"]
    after = torch.load(new, weights_only=True)
    name = "head1.weight" if "head1.weight" in after else next(iter(after))
    assert 0 < (after[name] - before[name]).abs().max() < 1e-3, "trained from the given weights"
    assert torch.are_deterministic_algorithms_enabled() is False
    assert find_bundle(tmp_path / "run") == tmp_path / "run"
    with pytest.raises(FileExistsError, match="holds a trained run"):
        bundle.train(tmp_path / "nuclei", "folder", output_dir=tmp_path / "run", **short)
    bundle.train(tmp_path / "nuclei", "folder", output_dir=tmp_path / "run", resume=True, max_epochs=2)
    assert [row["epoch"] for row in read_history(tmp_path / "run" / "eval" / "history.csv")] == [1, 2]

    result = bundle.evaluate(tmp_path / "nuclei", "folder", output_dir=tmp_path / "scores", num_workers=0)
    assert json.loads((tmp_path / "scores" / "metrics_summary.json").read_text())["cases"] == 2
    cases = {case: tmp_path / "nuclei" / "labels" / f"{case}.png" for case in result.cases}
    images = [tmp_path / "nuclei" / "images" / f"{case}.png" for case in cases]
    ours = dict(zip(cases, bundle.predict(images), strict=True))
    again = evaluate(ours, cases, bundle.class_names, label_values="nonzero")
    assert result.headline == pytest.approx(again.headline)


def test_in_its_own_folder_a_bundle_keeps_its_configurations(glands: Path, tmp_path: Path) -> None:
    make_sample(tmp_path / "nuclei", seed=0, num_training=2, num_validation=1, num_test=1, size=(48, 40))
    copy_bundle("sa2net", tmp_path / "mine")
    before = {file: file.read_bytes() for file in (tmp_path / "mine").rglob("*") if file.is_file()}
    bundle = load_bundle(tmp_path / "mine", weights=glands, device="cpu")
    names = {"class_names": ["background", "nucleus"], "num_workers": 0}
    assert bundle.train(tmp_path / "nuclei", "folder", max_epochs=1, **names) == tmp_path / "mine/models/model.pt"
    assert {file: file.read_bytes() for file in before} == before
    assert not (tmp_path / "mine" / "logs").exists()


def test_bad_use(glands: Path, image: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.pt: no such weights"):
        load_bundle("sa2net", weights=tmp_path / "no.pt")
    with pytest.raises(ValueError, match="weights of the network 'sa2net', but the bundle is 'hsaunet'"):
        load_bundle("hsaunet", weights=glands)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no usable CUDA device"):
            load_bundle("sa2net", device="cuda:0")
    untrained = load_bundle("svanet", device="cpu")
    with pytest.raises(
        FileNotFoundError, match=r"has no models/model\.pt\. The bundle comes with the package, untrained"
    ):
        untrained.predict(image)
    bundle = load_bundle("sa2net", weights=glands, device="cpu")
    with pytest.raises(ValueError, match="has no bach_size"):
        bundle.predict(image, bach_size=2)
    with pytest.raises(ValueError, match=r"an array \(5,\) of float64; expected numbers \(H, W\)"):
        bundle.predict(np.zeros(5))
    with pytest.raises(ValueError, match="cannot predict a dict"):
        bundle.predict({"image": image})
    with pytest.raises(ValueError, match=r"no overlay for a data set 'monusag'; it has .*monuseg"):
        bundle.evaluate(tmp_path, dataset="monusag")
    with pytest.raises(ValueError, match="no such overlay file"):
        bundle.train(tmp_path, dataset=tmp_path / "mine.yaml")
    with pytest.raises(ValueError, match="affine is"):
        write_array(np.zeros((2, 2, 2)), tmp_path / "v", volume=True, affine=np.zeros((4, 4)))


def test_values_beside_weights_run_no_code(tmp_path: Path) -> None:
    evil = save_model(tmp_path / "model.pt", {**GLANDS, "overlap": "$__import__('os').system('x')"})
    with pytest.raises(ValueError, match="'overlap' holds the expression"):
        load_bundle("sa2net", weights=evil)


def test_the_package_stays_light() -> None:
    code = "import sa2_monai, sa2_monai.bundle, sys; assert not {'torch', 'monai'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert sa2_monai.load_bundle is load_bundle
    for module in (sa2_monai, sa2_monai.bundle):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            module.nothing  # noqa: B018
