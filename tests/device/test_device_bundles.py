# SPDX-License-Identifier: Apache-2.0
"""Every bundle predicts and evaluates on an accelerator: the label maps are those of the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import make_sample, make_sample_volumes
from sa2_monai.weights import save_weights
from tests.bundles.bundle_tools import BUNDLES, DEFAULT_KIND, make_workflow, read_json, run
from tests.device.fakegpu.accelerator import DEVICE
from tests.device.fakegpu.process import Call
from tests.device.gpu import enliven
from tests.support.small_models import balance

OVERLAY = {"images": "sample", "volumes": "sample_volumes"}
SIZE = [32, 32]
#: ``initialize`` checks the switches, among whose devices is none that is pretended.
SMALL: dict[str, Any] = {"view": "whole", "roi_size": SIZE, "batch_size": 16, "initialize": []}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_prediction_and_evaluation(on_accelerator: Call, bundle: str, tmp_path: Path) -> None:
    found = on_accelerator(_predict_and_evaluate, bundle, tmp_path)
    assert found["cases"] == 2
    assert found["classes"] > 1
    assert min(found["predicted"]) > 0.999
    assert min(found["evaluated"]) > 0.999


def _predict_and_evaluate(bundle: str, folder: Path) -> dict[str, Any]:
    overlay = OVERLAY[DEFAULT_KIND[bundle]]
    data = folder / "data"
    if overlay == "sample":
        make_sample(data, num_training=1, num_validation=1, num_test=2, size=(48, 40))
    else:
        make_sample_volumes(data, num_training=1, num_validation=1, num_test=2, size=(28, 24, 8))
    cases = sorted(str(path) for path in (data / "images").glob("*test*"))
    options = {**SMALL, "bundle_root": str(folder), "ckpt_dir": str(folder / "models")}
    _save_weights(bundle, overlay, {**options, "image_source": cases})
    for name, device in (("host", "cpu"), ("device", DEVICE)):
        output = str(folder / name)
        run(*(bundle, "inference", overlay), **options, image_source=cases, output_dir=output, device=device)
    output = str(folder / "eval")
    run(*(bundle, "train", overlay, "evaluate"), **options, dataset_dir=str(data), output_dir=output, device=DEVICE)
    host, device, evaluated = (_label_maps(folder / name / "predictions") for name in ("host", "device", "eval"))
    assert len(host) == len(device) == len(evaluated) == len(cases)
    return {
        "cases": read_json(folder / "eval" / "metrics_summary.json")["cases"],
        "classes": len(np.unique(np.concatenate([one.ravel() for one in host]))),
        "predicted": [float((a == b).mean()) for a, b in zip(host, device, strict=True)],
        "evaluated": [float((a == b).mean()) for a, b in zip(host, evaluated, strict=True)],
    }


def _save_weights(bundle: str, overlay: str, options: dict[str, Any]) -> None:
    """Weights with which every class is found somewhere."""
    parser = make_workflow(bundle, "inference", overlay, **options).parser
    info, network = (parser.get_parsed_content(name) for name in ("model_info", "network"))
    enliven(network).eval()
    balance(network, info["in_channels"], SIZE)
    save_weights(network.state_dict(), Path(options["ckpt_dir"]) / "model.pt", info)


def _label_maps(folder: Path) -> list[np.ndarray]:
    files = sorted([*folder.rglob("*.png"), *folder.rglob("*.nii.gz")])
    return [np.asarray(Image.open(one) if one.suffix == ".png" else nib.load(one).dataobj) for one in files]
