# SPDX-License-Identifier: Apache-2.0
"""``precision`` in bundles: of a prediction, of a training, by its earlier names, of bundles that are older than it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

import sa2_monai
from sa2_monai.bundle import find_bundle
from sa2_monai.bundle.packaging.contents import merged_configs
from sa2_monai.bundle.switches import SwitchError
from sa2_monai.bundle.switches.renamed import current_words
from sa2_monai.bundle.switches.running import _update_words
from sa2_monai.inference.slice_network import SliceNetwork
from sa2_monai.networks.precision import choose

PACKAGED = Path(__file__).resolve().parents[1] / "packaged"
EARLIER = pytest.mark.filterwarnings("ignore:amp and amp_dtype are called:DeprecationWarning")


@pytest.fixture(autouse=True)
def _any_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choose.ANYWAY, "1")


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """A list that gets the precision of every call of a network."""
    seen: list[str | None] = []
    call = SliceNetwork.__call__

    def note(network: SliceNetwork, images: torch.Tensor) -> torch.Tensor:
        seen.append(network.precision)
        return call(network, images)

    monkeypatch.setattr(SliceNetwork, "__call__", note)
    return seen


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 36, 3), dtype=np.uint8)


SWITCHES = [({}, "fp32"), ({"precision": "bf16"}, "bf16"), ({"precision": "fp32", "tta": True}, "fp32")]


@pytest.mark.parametrize(("switches", "expected"), SWITCHES)
def test_prediction(
    switches: dict[str, Any], expected: str, glands: Path, tmp_path: Path, used: list[str | None]
) -> None:
    bundle = sa2_monai.load_bundle("sa2net", weights=glands, device="cpu")
    bundle.predict(image(), output_dir=tmp_path / "out", **switches)
    assert set(used) == {expected}


def test_the_record_says_what_was_used(glands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "bf16_units", lambda: ["amx_bf16"])
    config = find_bundle("sa2net") / "configs" / "inference.yaml"
    np.save(tmp_path / "image.npy", image())
    values = {"output_dir": str(tmp_path), "ckpt_path": str(glands), "image_source": str(tmp_path / "image.npy")}
    shape = {"base_channels": 4, "roi_size": [32, 32], "class_names": ["background", "gland"], "num_workers": 0}
    sa2_monai.bundle.workflow.run_inference(config, {**values, **shape, "device": "cpu", "precision": "auto"})
    record = json.loads((tmp_path / "run_inference.json").read_text())
    assert record["configuration"]["precision"] == "bf16"


@EARLIER
@pytest.mark.parametrize(("amp", "expected"), [(True, "fp32"), (False, "fp32")])
def test_amp_of_a_prediction_on_a_cpu(amp: bool, expected: str, glands: Path, used: list[str | None]) -> None:
    """As before: there it changes nothing."""
    bundle = sa2_monai.load_bundle("sa2net", weights=glands, device="cpu")
    bundle.predict(image(), amp=amp)
    assert set(used) == {expected}


OF_BEFORE = [
    pytest.mark.filterwarnings("ignore:.* has moved:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:kind .* is called .* now:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:CUDA is not available:UserWarning"),  # of torch, for amp without a GPU
]
OLDER = [({}, None), ({"amp": True}, None), ({"precision": "bf16"}, "bf16")]


@pytest.mark.parametrize(
    ("switches", "expected"), [pytest.param(*values, marks=OF_BEFORE, id=str(values[0])) for values in OLDER]
)
def test_bundles_of_earlier_versions(switches: dict[str, Any], expected: str | None, used: list[str | None]) -> None:
    bundle = sa2_monai.load_bundle(PACKAGED / "nifti_folder_daeformer_v0.1.0.zip", device="cpu")
    bundle.predict(PACKAGED / "volume.nii.gz", num_workers=0, **switches)
    assert set(used) == {expected}


def test_an_earlier_bundle_that_cannot() -> None:
    """Its inferer is MONAI's."""
    bundle = sa2_monai.load_bundle(PACKAGED / "glas_sa2net_v0.1.0.zip", device="cpu")
    with pytest.raises(ValueError, match=r"inference.json has no precision, .* an older bundle may lack them"):
        bundle.predict(image(), precision="bf16")


ON_CUDA = "torch.device(@device).type == 'cuda'"
WORDS = [
    ({"precision": "bf16", "batch_size": 2}, {"precision": "bf16", "batch_size": 2}),
    ({"amp": False, "batch_size": 2}, {"precision": "fp32", "batch_size": 2}),
    ({"amp": True}, {"precision": f"$'fp16' if {ON_CUDA} else 'fp32'"}),
    ({"amp": True, "amp_dtype": "bfloat16"}, {"precision": "bf16"}),
    ({"amp": False, "amp_dtype": "bfloat16"}, {"precision": "fp32"}),
    ({"amp_dtype": "bfloat16"}, {"precision": f"$'bf16' if {ON_CUDA} else 'fp32'"}),
    ({"amp_dtype": "float16"}, {}),
    ({"amp": "$1 > 0"}, {"precision": f"$'fp16' if (1 > 0) and {ON_CUDA} else 'fp32'"}),
]


@EARLIER
@pytest.mark.parametrize(("given", "expected"), WORDS)
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_earlier_words(given: dict[str, Any], expected: dict[str, Any], device: str) -> None:
    found = current_words({"precision", "batch_size"}, given)
    assert found == expected
    if "precision" in found:
        value = ConfigParser({"device": device, **found}).get_parsed_content("precision")
        gpu = "cuda" in device
        wanted = {"bfloat16": "bf16"}.get(given.get("amp_dtype", ""), "fp16" if gpu else "fp32")
        only_gpu = "amp" not in given and not gpu
        assert value == given.get("precision", "fp32" if given.get("amp") is False or only_gpu else wanted)


def test_earlier_words_are_warned_of() -> None:
    with pytest.warns(DeprecationWarning, match=r"amp=true precision=fp16 \(GPUs\)"):
        current_words({"precision"}, {"amp": True})


@EARLIER
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"amp": True, "precision": "fp32"}, "amp: earlier words for precision, which is given as well"),
        ({"amp": "fp16"}, "amp is 'fp16', expected true or false; it is called precision now"),
        ({"amp_dtype": "bf16"}, "amp_dtype is 'bf16', expected float16 or bfloat16"),
    ],
)
def test_words_that_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        current_words({"precision"}, given)


OF_A_FILE = [
    ({"precision": "auto", "amp": False}, {"precision": "fp32"}),
    ({"precision": "auto", "amp": True, "amp_dtype": "bfloat16"}, {"precision": "bf16"}),
    ({"precision": "auto"}, {"precision": "auto"}),
    # an earlier bundle, and one of somebody's own that uses both
    ({"amp": False}, {"amp": False}),
    ({"precision": "auto", "amp": False, "engine": "$@amp"}, {"precision": "auto", "amp": False, "engine": "$@amp"}),
]


@EARLIER
@pytest.mark.parametrize(("config", "expected"), OF_A_FILE)
def test_overlays_and_the_command_line_of_monai(config: dict[str, Any], expected: dict[str, Any]) -> None:
    parser = ConfigParser(config)
    parser.parse()
    _update_words(parser)
    assert parser.get() == expected
    if "precision" in expected:
        assert parser.get_parsed_content("precision") == expected["precision"]


def test_what_an_overlay_may_not_say() -> None:
    parser = ConfigParser({"precision": "auto", "amp": "half"})
    parser.parse()
    with pytest.raises(SwitchError, match="amp is 'half', expected true or false"):
        _update_words(parser)


def test_the_precision_of_a_training_is_not_that_of_its_predictions(tmp_path: Path) -> None:
    overlay = tmp_path / "own.yaml"
    overlay.write_text("precision: fp16\n")
    for overlays, overrides in (([], {"precision": "fp16"}), ([overlay], {})):
        train, inference = merged_configs(find_bundle("sa2net"), overlays, overrides)
        assert (train["precision"], inference["precision"]) == ("fp16", "fp32")


DEVICES = [("auto", "cpu", "fp32"), ("bf16", "cpu", "bf16"), ("auto", "cuda", "fp16"), ("fp32", "cuda", "fp32")]


@pytest.mark.parametrize(("wanted", "device", "expected"), DEVICES)
def test_a_training_and_its_validation_have_one(wanted: str, device: str, expected: str) -> None:
    train = ConfigParser.load_config_file(find_bundle("daeformer") / "configs" / "train.yaml")
    parser = ConfigParser({**train, "precision": wanted, "device": device, "network": "$torch.nn.Linear(1, 1)"})
    assert parser.get_parsed_content("validate#inferer").precision == expected
    update = parser.get_parsed_content("train#update")
    assert (update is not None and update.bfloat16) == (expected == "bf16")
    assert parser["train#trainer#amp"] == "$@chosen_precision == 'fp16'"


def test_an_evaluation_has_one_of_its_own() -> None:
    folder = find_bundle("daeformer") / "configs"
    files = [str(folder / f"{name}.yaml") for name in ("train", "evaluate")]
    parser = ConfigParser({**ConfigParser.load_config_files(files), "network": "$torch.nn.Linear(1, 1)"})
    assert parser.get_parsed_content("validate#inferer").precision == "fp32"
    assert parser["chosen_precision#training"] is False
