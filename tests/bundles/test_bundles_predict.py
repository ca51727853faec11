# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict`` with our own bundles: volumes of several channels, narrow windows, bad images in a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_tools import WIDTH, read_json
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.cli import main
from sa2_monai.data import list_volumes
from sa2_monai.inference import read_dicom_seg
from sa2_monai.networks import create_network
from sa2_monai.weights import save_weights

pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")


def make_weights(network: str, folder: Path, **info: Any) -> Path:
    torch.manual_seed(0)
    names = [f"class {number}" for number in range(info["out_channels"] if info["out_channels"] > 1 else 2)]
    model = create_network(
        network, in_channels=info["in_channels"], out_channels=info["out_channels"], **WIDTH[network]
    )
    path = folder / "weights" / "model.pt"
    save_weights(
        model.state_dict(),
        path,
        {"network": network, "class_names": names, "view": "whole", **WIDTH[network], **info},
    )
    return path


def predict(weights: Path, out: Path, *words: object) -> int:
    return main(["predict", *map(str, words), "--weights", str(weights), "--output", str(out), "--device", "cpu"])


def test_channels_of_volumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """nnU-Net's names, in folders and lists; the channels in their order; a window that only a narrow network has."""
    weights = make_weights("hsaunet", tmp_path, in_channels=2, out_channels=3, kind="volumes", roi_size=[64, 64])
    rng = np.random.default_rng(0)
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    folder = tmp_path / "studies"
    folder.mkdir()
    for case in ("p1", "p2"):
        for channel in range(2):
            array = rng.normal(100 * channel, 20, (40, 36, 3)).astype(np.float32)
            nib.save(nib.Nifti1Image(array, affine), folder / f"{case}_{channel:04d}.nii.gz")
    assert predict(weights, tmp_path / "all", folder) == 0
    assert sorted(path.name for path in (tmp_path / "all" / "predictions").iterdir()) == ["p1.nii.gz", "p2.nii.gz"]
    # one study, its channels in the wrong order in a list: the names count
    listed = [folder / "p2_0001.nii.gz", folder / "p2_0000.nii.gz"]
    assert predict(weights, tmp_path / "one", *listed) == 0
    first, second = (nib.load(tmp_path / run / "predictions" / "p2.nii.gz") for run in ("all", "one"))
    assert np.array_equal(first.get_fdata(), second.get_fdata())
    assert len(np.unique(first.get_fdata())) > 1
    assert np.array_equal(first.affine, affine)
    # the second channel counts: with another one the prediction is another
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    for channel in range(2):
        (swapped / f"p2_{channel:04d}.nii.gz").write_bytes((folder / f"p2_{1 - channel:04d}.nii.gz").read_bytes())
    assert predict(weights, tmp_path / "other", swapped) == 0
    other = nib.load(tmp_path / "other" / "predictions" / "p2.nii.gz")
    assert not np.array_equal(first.get_fdata(), other.get_fdata())

    (folder / "p2_0001.nii.gz").unlink()
    capsys.readouterr()
    assert predict(weights, tmp_path / "all", folder) == 1
    message = capsys.readouterr().err
    assert "cases without the 2 files that the channels of the network need (1)" in message
    assert "p2: has " in message
    assert "give the files <case>_0000 to <case>_0001, in the order of training" in message
    with pytest.raises(ValueError, match="would be one channel of one case"):
        list_volumes([folder / "p1_0000.nii.gz", folder / "p1_0001.nii.gz", folder / "p1_0000.nii.gz"], 2)


def test_a_bad_image_in_a_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others of its batch are predicted as if it were not there; nothing of it is left."""
    weights = make_weights("sa2net", tmp_path, in_channels=3, out_channels=1, kind="images", roi_size=[32, 32])
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "abcd":
        Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    assert predict(weights, tmp_path / "good", folder) == 0
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:99])
    assert predict(weights, tmp_path / "bad", folder, "--batch-size", 3, "--shard", "1/1") == 1
    assert "1 of 4 cases failed, the others are finished" in capsys.readouterr().err
    good, bad = (tmp_path / run / "predictions" for run in ("good", "bad"))
    assert sorted(path.name for path in bad.iterdir()) == ["a.png", "c.png", "d.png"]
    assert all((good / path.name).read_bytes() == path.read_bytes() for path in bad.iterdir())
    # a second part has a record of its own
    assert predict(weights, tmp_path / "bad", folder, "--shard", "2/2") == 1
    record = read_json(tmp_path / "bad" / "shards" / "2-of-2" / "run_inference.json")
    assert [case["case"] for case in record["cases"]] == ["b"]
    assert read_json(tmp_path / "bad" / "predict_summary.json")["finished"] == 3


def test_choice_of_a_dicom_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two series in one folder: chosen on the command line and in Python, also for the DICOM SEG."""
    pytest.importorskip("highdicom", reason="the extra dicom is not installed")
    from tests.support.dicom_files import ROOT, write_multiframe, write_series

    weights = make_weights("hsaunet", tmp_path, in_channels=1, out_channels=3, kind="volumes", roi_size=[64, 64])
    _, affine = write_series(tmp_path / "scan", series=1, modality="MR", SeriesDescription="T2 #1 tra", thickness=4)
    for path in list((tmp_path / "scan").iterdir()):
        path.rename(path.with_name(f"mr{path.name}"))
    write_series(tmp_path / "scan", series=2)
    assert predict(weights, tmp_path / "none", tmp_path / "scan") == 1
    message = capsys.readouterr().err
    assert "holds 2 series, expected one" in message
    assert f"{ROOT}.1: number 1, MR, 'T2 #1 tra', 6 images" in message
    assert predict(weights, tmp_path / "one", tmp_path / "scan", "--series", "t2 #1", "--dicom-seg") == 0
    (nifti,) = (tmp_path / "one" / "predictions").glob("*.nii.gz")
    assert np.allclose(nib.load(nifti).affine, affine, atol=1e-4)
    labels, _ = read_dicom_seg(tmp_path / "one" / "predictions" / "scan.dcm", tmp_path / "scan", series="MR")
    assert np.array_equal(labels, np.asanyarray(nib.load(nifti).dataobj))
    again = load_bundle("hsaunet", weights, "cpu").predict(tmp_path / "scan", series=1)
    assert np.array_equal(again, labels)
    # A file of several frames is a volume by itself.
    _, affine = write_multiframe(tmp_path / "m.dcm")
    assert predict(weights, tmp_path / "file", tmp_path / "m.dcm", "--dicom-seg") == 0
    nifti = nib.load(tmp_path / "file" / "predictions" / "m.nii.gz")
    assert np.allclose(nifti.affine, affine, atol=1e-4)
    labels, _ = read_dicom_seg(tmp_path / "file" / "predictions" / "m.dcm", tmp_path / "m.dcm")
    assert np.array_equal(labels, np.asanyarray(nifti.dataobj))
