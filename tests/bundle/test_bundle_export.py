# SPDX-License-Identifier: Apache-2.0
"""Export: the files that are written are run again, and what differs is noticed."""

from __future__ import annotations

import importlib.util
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import load_net_with_metadata

from sa2_monai.bundle import FORMATS, export_network
from sa2_monai.bundle.exporting.label_network import LabelNetwork
from sa2_monai.bundle.exporting.parity import check_parity
from sa2_monai.inference.agreement import smooth_images
from sa2_monai.inference.runtimes.onnx_graph import PACKAGES
from sa2_monai.weights import save_weights

CONFIG = {
    "kind": "images",
    "class_names": ["background", "a", "b"],
    "in_channels": 3,
    "out_channels": 3,
    "roi_size": [24, 32],
    "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": "@out_channels", "kernel_size": 1},
}
METADATA = {
    "version": "1.0.0",
    "network_data_format": {"inputs": {"image": {"dtype": "float32"}}, "outputs": {"pred": {"num_channels": 3}}},
}
HAS = {
    name: all(map(importlib.util.find_spec, (*PACKAGES, package)))
    for name, package in {"onnx": "onnxruntime", "openvino": "openvino"}.items()
}
# Format, half precision, sizes that may change, labels.
CASES = [
    ("torchscript", False, False, False),
    ("torchscript", True, False, True),
    ("torch-export", False, True, False),
    ("torch-export", True, False, True),
    ("onnx", False, True, True),
    ("openvino", False, True, False),
    ("openvino", True, False, True),
]


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A bundle whose network gives the class of the strongest of three colours."""
    folder = tmp_path / "colours"
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(CONFIG))
    (folder / "configs" / "metadata.json").write_text(json.dumps(METADATA))
    state = {"weight": 10 * torch.eye(3)[:, :, None, None], "bias": torch.zeros(3)}
    save_weights(state, folder / "models" / "model.pt")
    return folder


@pytest.mark.parametrize(("form", "half", "dynamic", "labels"), CASES)
def test_every_format(form: str, half: bool, dynamic: bool, labels: bool, colours: Path, untraced: None) -> None:
    if not HAS.get(form, True):
        pytest.skip(f"extra `{form}` is not installed")
    path, parity = export_network(colours, to=form, half=half, dynamic=dynamic, labels=labels)
    suffix = {"torchscript": ".ts", "torch-export": ".pt2", "onnx": ".onnx", "openvino": ".xml"}[form]
    assert path == colours / "models" / f"model{'_labels' * labels}{'_half' * half}{suffix}"
    assert parity.passed, parity.text()
    assert parity.classes == 3
    assert parity.shapes[0] == [1, 3, 24, 32]
    assert (len(parity.shapes) == 2) is (dynamic or form == "torchscript")
    # Not by the function that compared them: the strongest colour of an image of another size.
    image = np.random.default_rng(0).random((2 if dynamic else 1, 3, *((16, 40) if dynamic else (24, 32)))).astype("f4")
    half_input = half and form != "openvino"
    found = run(path, form, image.astype(np.float16) if half_input else image)
    assert found.dtype == (np.uint8 if labels else np.float16 if half_input else np.float32)
    assert (parity.by_itself is not None) is (form == "openvino")
    classes = found[:, 0] if labels else found.argmax(1)
    assert (classes == image.argmax(1)).mean() > (0.99 if half else 0.9999)


def run(path: Path, form: str, image: np.ndarray) -> np.ndarray:
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        assert "metadata.json" in session.get_modelmeta().custom_metadata_map
        return session.run(["pred"], {"image": image})[0]
    if form == "openvino":
        import openvino

        model = openvino.Core().read_model(path)
        assert "metadata_json" in model.get_rt_info(["sa2_monai"]).astype(dict)
        return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([image])[0]
    with torch.no_grad(), warnings.catch_warnings():
        module = torch.jit.load(path) if form == "torchscript" else torch.export.load(path).module()
        return module(torch.from_numpy(image)).numpy()


def test_torchscript_carries_what_it_takes_and_gives(colours: Path) -> None:
    path, _ = export_network(colours, half=True, labels=True, output=colours / "x.ts")
    _, metadata, extra = load_net_with_metadata(str(path), more_extra_files=("inference.json",))
    assert metadata["network_data_format"]["inputs"]["image"]["dtype"] == "float16"
    pred = metadata["network_data_format"]["outputs"]["pred"]
    assert (pred["num_channels"], pred["dtype"]) == (1, "uint8")
    assert pred["channel_def"] == {"0": "background", "1": "a", "2": "b"}
    assert json.loads(extra["inference.json"]) == CONFIG


def test_another_size(colours: Path, untraced: None) -> None:
    _, parity = export_network(colours, output=colours / "x.ts", size=(8, 40))
    assert parity.passed
    assert parity.shapes == [[1, 3, 8, 40], [2, 3, 9, 42]]


@pytest.mark.parametrize(("channels", "expected"), [(1, [0, 1, 1]), (2, [0, 0, 1])])
def test_labels_are_those_of_the_bundles(channels: int, expected: list[int]) -> None:
    """One channel: at least one half, so a logit of 0 is inside; two: the first of equal ones."""
    logits = torch.tensor([-1.0, 0.0, 1.0])[None, None, None]
    network = torch.nn.Identity()
    image = logits if channels == 1 else torch.cat([torch.zeros_like(logits), logits], 1)
    found = LabelNetwork(network, channels)(image)
    assert found.dtype == torch.uint8
    assert found.flatten().tolist() == expected


def test_what_differs_is_noticed() -> None:
    images = smooth_images([[1, 3, 16, 16], [2, 3, 8, 24]])
    network = torch.nn.Identity()
    assert check_parity(network, network, images, "x").passed
    # No class changes, the logits do.
    shifted = check_parity(network, lambda x: x + 2e-4, images, "x")
    assert not shifted.passed
    assert shifted.max_difference == pytest.approx(2e-4, rel=1e-2)
    assert shifted.equal_classes == 1
    assert "NOT PASSED" in shifted.text()
    assert shifted.as_dict()["passed"] is False

    def swapped(x: torch.Tensor) -> torch.Tensor:
        out = x.clone()
        out[:, :, 0, 0] = out[:, [1, 2, 0], 0, 0]
        return out

    one = check_parity(network, lambda x: swapped(x).argmax(1, keepdim=True), images, "x", labels=True)
    assert one.max_difference is None
    assert one.equal_classes == pytest.approx(1 - 3 / 640)
    assert not one.passed
    nowhere = check_parity(network, lambda x: x * float("nan"), images, "x")
    assert nowhere.max_difference == float("inf")
    assert not nowhere.passed
    assert check_parity(network, lambda x: x.float() * 1.01, images, "x", half=True).passed
    with pytest.raises(ValueError, match=r"answers \[1, 3, 8, 16\] to an image \[1, 3, 16, 16\]"):
        check_parity(network, lambda x: x[:, :, ::2], images, "x")
    by_itself = replace(check_parity(network, network, images, "x"), by_itself=0.56)
    assert not by_itself.passed
    assert "takes by itself on this machine: 56.0000% (at least 98.0%)" in by_itself.text()
    flat = check_parity(network, network, [torch.zeros(1, 1, 4, 4) - 1], "x")
    assert "one class only" in flat.text()


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"to": "tflite"}, ValueError, f"unknown format 'tflite'; known: {', '.join(FORMATS)}"),
    ({"weights": "no.pt"}, FileNotFoundError, "no.pt: no such weights"),
    ({"size": (0, 8)}, ValueError, "illegal window size"),
    ({"dataset": "acdc"}, ValueError, "no overlay for a data set 'acdc'"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_use(arguments: dict[str, Any], error: type[Exception], message: str, colours: Path) -> None:
    with pytest.raises(error, match=message):
        export_network(colours, **arguments)


def test_missing_packages_are_named(colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs onnx, onnxscript, onnxruntime: pip install 'sa2_monai\[onnx\]'"):
        export_network(colours, to="onnx")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(ImportError, match="needs the package torch_tensorrt"):
        export_network(colours, to="tensorrt")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RuntimeError, match="needs a CUDA device"):
        export_network(colours, to="tensorrt")
