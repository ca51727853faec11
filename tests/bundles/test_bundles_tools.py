# SPDX-License-Identifier: Apache-2.0
"""MONAI's own tools on a bundle: checks of the network, TorchScript export, loading of a packaged copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import monai.bundle
import numpy as np
import pytest
import torch
from bundle_tools import ROOT, WIDTH, config_files, configs, make_workflow, metadata
from monai.bundle import ConfigParser, ckpt_export, verify_net_in_out
from monai.data import load_net_with_metadata

from sa2_monai.networks import create_network
from sa2_monai.weights import load_weights

Trained = Callable[[str], Path]

# MONAI announces each list of files that it is given as a warning.
pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")


@pytest.mark.parametrize("dataset", [None, "sample", "folder"])
def test_verify_net_in_out(bundle: str, dataset: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """As the model zoo does it, with the metadata's shapes; the real width once, as it is handed out."""
    names = ["inference", *([dataset] if dataset else [])]
    meta = [str(configs(bundle) / "metadata.json")]
    meta += [str(configs(bundle) / f"{dataset}_meta.json")] if dataset else []
    narrow = WIDTH[bundle] if dataset else {}
    for n in (1, 3):
        caplog.clear()
        verify_net_in_out(
            "network_def", meta_file=meta, config_file=config_files(bundle, *names), device="cpu", n=n, **narrow
        )
        assert "data shape of network is verified with no error." in caplog.text


def test_verify_net_in_out_notices(bundle: str) -> None:
    common = {"meta_file": str(configs(bundle) / "metadata.json"), "device": "cpu", **WIDTH[bundle]}
    (file,) = config_files(bundle, "inference")
    with pytest.raises(ValueError, match="output channel number `3` doesn't match: `1`"):
        verify_net_in_out("network_def", config_file=file, class_names=["background", "a", "b"], **common)


def test_forward_in_training_is_what_the_loss_takes(bundle: str) -> None:
    workflow = make_workflow(bundle, "train")
    network = workflow.parser.get_parsed_content("network").train()
    outputs = network(torch.rand(2, 3, 32, 32))
    loss = workflow.parser.get_parsed_content("loss")(outputs, torch.ones(2, 1, 32, 32))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters() if p.requires_grad)


def test_the_exported_file_gives_the_same_masks(bundle: str, trained: Trained, tmp_path: Path) -> None:
    root = trained("whole")
    exported = tmp_path / "model.ts"
    ckpt_export(
        "network_def",
        filepath=str(exported),
        ckpt_file=str(root / "models" / "model.pt"),
        meta_file=str(configs(bundle) / "metadata.json"),
        config_file=config_files(bundle, "inference", "sample"),
        **WIDTH[bundle],
        roi_size=[32, 32],
        view="whole",
    )
    script, meta, extra = load_net_with_metadata(str(exported), more_extra_files=("inference.json",))
    assert meta["network_data_format"] == metadata(bundle)["network_data_format"]
    stored = json.loads(extra["inference.json"])
    assert {"network_def", "inferer", "preprocessing", "postprocessing", "device"} <= set(stored)
    network = create_network(bundle, in_channels=3, out_channels=1, **WIDTH[bundle]).eval()
    load_weights(network, root / "models" / "model.pt")
    generator = torch.Generator().manual_seed(0)
    for size in ((224, 224), (256, 192), (512, 512), (32, 48)):
        # Smooth, as images are, so that the network has something to find.
        coarse = torch.rand(2, 3, 8, 8, generator=generator)
        image = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
        with torch.no_grad():
            ours, theirs = network(image), script(image)
        assert theirs.dtype == torch.float32
        assert torch.allclose(ours, theirs, atol=1e-4, rtol=1e-4)
        assert torch.equal(ours > 0, theirs > 0)
        assert ours.std() > 0.01


@pytest.fixture
def packaged(bundle: str, trained: Trained, tmp_path: Path) -> Path:
    """A stand-alone JSON copy of a bundle with one data set, as section 6 of the bundle contract describes it."""
    folder = tmp_path / "bundles" / f"{bundle}_segmentation"
    (folder / "configs").mkdir(parents=True)
    for base in ("train", "inference"):
        merged = ConfigParser.load_config_files(config_files(bundle, base, "sample"))
        merged.update({**WIDTH[bundle], "roi_size": [32, 32], "num_workers": 0})
        ConfigParser.export_config_file(merged, str(folder / "configs" / f"{base}.json"), fmt="json", indent=4)
    ConfigParser.export_config_file(
        metadata(bundle, "sample"), str(folder / "configs" / "metadata.json"), fmt="json", indent=4
    )
    shutil.copytree(trained("windows") / "models", folder / "models")
    shutil.copy(ROOT / bundle / "LICENSE", folder)
    return folder


def test_a_packaged_copy_loads_from_another_folder(
    bundle: str, packaged: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not promised for the YAML sources: MONAI looks for JSON."""
    monkeypatch.chdir(tmp_path)
    network = monai.bundle.load(
        packaged.name, bundle_dir=str(packaged.parent), source="local", workflow_type="inference"
    )
    weights = torch.load(packaged / "models" / "model.pt", weights_only=True)
    assert isinstance(network, torch.nn.Module)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())

    workflow = monai.bundle.create_workflow(
        config_file=str(packaged / "configs" / "inference.json"),
        workflow_type="infer",
        bundle_root=str(packaged),
        dataset_dir=str(images / "images"),
        output_dir=str(tmp_path / "out"),
        device="cpu",
        logging_file=False,
    )
    assert workflow.check_properties() == []
    workflow.run()
    assert len(list((tmp_path / "out" / "predictions").iterdir())) == 8
    assert np.array_equal(sorted(path.name for path in tmp_path.iterdir()), ["bundles", "out"])
