# SPDX-License-Identifier: Apache-2.0
"""Packaged bundles in MONAI Deploy: the steps of its bundle operator on ``model.ts``, and the app with the SDK."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import SpaceKeys, ensure_tuple

from sa2_monai.bundle import find_bundle, package_bundle
from sa2_monai.cli.main import main
from sa2_monai.inference import read_dicom_seg
from tests.support.dicom_files import write_series
from tests.support.programs import run_untraced
from tests.support.small_models import save_model, script_in_process

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "tools" / "monai_deploy_app"
CLASSES = ["background", "liver", "spleen", "left kidney"]
MODEL: dict[str, Any] = {
    **{"network": "daeformer", "in_channels": 1, "out_channels": 4, "embed_dims": [8, 16, 32], "channel_heads": 2},
    **{"class_names": CLASSES, "kind": "volumes", "slice_axis": "axial"},
    **{"intensity": "percentiles", "normalize": [0.5, 0.5]},  # wants floating point, while the SDK gives integers
    **{"view": "whole", "roi_size": [32, 32], "resize": "spline"},
}
# Slices along another axis than the network's, pixels that are no squares: nothing fits by chance.
CORONAL = {"orientation": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0), "spacing": (0.9, 0.5)}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packaged bundle for CT volumes."""
    folder = tmp_path_factory.mktemp("deploy")
    weights = save_model(folder / "model.pt", MODEL)
    with pytest.MonkeyPatch.context() as patch:
        script_in_process(patch)
        (packaged,) = package_bundle(find_bundle("daeformer"), weights, folder / "out", dataset="nifti_folder")
    return packaged


def predict(bundle: Path, series: Path, output: Path) -> np.ndarray:
    """Label map (column, row, slice) of our own command."""
    assert main(["predict", str(series), "--bundle", str(bundle), "--output", str(output), "--device", "cpu"]) == 0
    (file,) = (output / "predictions").glob("*.nii.gz")
    return np.asarray(nibabel.load(file).dataobj)


def run_as_the_operator(model: Path, image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """What MonaiBundleInferenceOperator (SDK 4.0.0) makes of an image (slice, row, column)."""
    with zipfile.ZipFile(model) as archive:  # the top folder has the name of the file
        texts = {name: archive.read(f"{model.stem}/extra/{name}.json") for name in ("metadata", "inference")}
    parser = ConfigParser()
    parser.read_meta(json.loads(texts["metadata"]))
    parser.read_config(json.loads(texts["inference"]))
    parser.parse()
    formats = parser["_meta_"]["network_data_format"]
    assert [(name, entry["type"]) for name, entry in formats["inputs"].items()] == [("image", "image")]
    assert [(name, entry["type"]) for name, entry in formats["outputs"].items()] == [("pred", "image")]
    device, inferer, before, after = (
        parser.get_parsed_content(name) for name in ("device", "inferer", "preprocessing", "postprocessing")
    )
    for chain in (before, after):
        names = [type(transform).__name__ for transform in chain.transforms]
        kept = [all(word not in name for word in ("LoadImage", "SaveImage")) for name in names]
        chain.transforms = tuple(t for t, keep in zip(chain.transforms, kept, strict=True) if keep)
        assert not all(kept)
        assert isinstance(chain.transforms[0], MapTransform)  # it asks the first one whether there are keys

    voxels = np.swapaxes(image, 0, 2)
    meta = {
        **{"affine": affine, "original_affine": affine, "space": SpaceKeys.RAS},
        **{"spatial_shape": np.asarray(voxels.shape), "original_channel_dim": "no_channel"},
    }
    data = before({"image": MetaTensor.ensure_torch_and_prune_meta(torch.as_tensor(voxels.copy()), meta)})
    network = torch.jit.load(str(model), map_location="cpu").eval()
    served: Callable[..., Any] = lambda *args, **kwargs: network(*args, **kwargs)  # noqa: E731  its model is no module
    with torch.no_grad():
        outputs = inferer(inputs=data["image"][None].to(device), network=served)
        pred = after({"pred": ensure_tuple(outputs)[0], **data})["pred"]
    return np.swapaxes(np.squeeze(pred.cpu().numpy(), 0), 0, 2).astype(np.uint8)


@pytest.mark.parametrize("orientation", [{}, CORONAL], ids=["axial", "coronal"])
def test_steps_of_the_bundle_operator(orientation: dict[str, Any], bundle: Path, tmp_path: Path) -> None:
    array, affine = write_series(tmp_path / "ct", **orientation)
    label = run_as_the_operator(bundle / "models" / "model.ts", array.T, affine)
    np.testing.assert_array_equal(label, predict(bundle, tmp_path / "ct", tmp_path / "own").T)
    assert set(np.unique(label)) == {0, 1, 2, 3}


@pytest.fixture(scope="module")
def deploy_python() -> str:
    if "SA2_DEPLOY_VENV" not in os.environ and not (ROOT / ".venv-deploy" / ".installed").is_file():
        pytest.skip(
            "the MONAI Deploy App SDK wants an environment of its own: run tools/lib/deploy_environment.sh once "
            "(1.5 GB, minutes), or name its folder with SA2_DEPLOY_VENV"
        )
    made = run_untraced(["bash", str(ROOT / "tools" / "lib" / "deploy_environment.sh")])
    if made.returncode:
        pytest.skip(f"no environment with the MONAI Deploy App SDK: {made.stderr.strip().splitlines()[-1:]}")
    return made.stdout.strip().splitlines()[-1]


def run_app(python: str, *words: str | Path) -> tuple[int, str]:
    done = run_untraced([python, str(APP), *map(str, words)], OMP_NUM_THREADS="1")
    return done.returncode, done.stdout + done.stderr


@pytest.mark.integration
def test_app_with_the_sdk(bundle: Path, deploy_python: str, tmp_path: Path) -> None:
    series, output, model = tmp_path / "study" / "ct", tmp_path / "out", bundle / "models" / "model.ts"
    write_series(series, **CORONAL)
    write_series(tmp_path / "study" / "short", series=2, shape=(32, 24, 3))
    write_series(tmp_path / "study" / "scout", series=3, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], spacing=(2, 2))
    code, log = run_app(deploy_python, "-i", tmp_path / "study", "-o", output, "-m", model)
    assert code == 0, log[-3000:]
    (file,) = output.iterdir()
    label, _ = read_dicom_seg(file, series)  # refuses frames that are not on the grid of the series
    np.testing.assert_array_equal(label, predict(bundle, series, tmp_path / "own"))
    assert set(np.unique(label)) == {0, 1, 2, 3}

    import pydicom

    segments = pydicom.dcmread(file).SegmentSequence
    assert [item.SegmentLabel for item in segments] == CLASSES[1:]
    assert [item.SegmentedPropertyTypeCodeSequence[0].CodeValue for item in segments] == [
        "10200004",
        "78961009",
        "18639004",
    ]

    code, log = run_app(deploy_python, "-i", tmp_path / "study", "-o", output, "-m", bundle / "models" / "model.pt")
    assert code != 0
    assert "holds no metadata.json and inference.json" in log
