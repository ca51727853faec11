# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai import-weights``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sa2_monai.cli import main
from sa2_monai.networks import create_network
from sa2_monai.weights import load_weights, read_info, sha256_of
from sa2_monai.weights.published.sa2net import ours_to_published
from tests.goldens import fill

GOLDEN = json.loads((Path(fill.__file__).parent / "sa2net.json").read_text())


def published(in_channels: int, out_channels: int, base_channels: int = 8) -> dict[str, torch.Tensor]:
    network = create_network("sa2net", in_channels=in_channels, out_channels=out_channels, base_channels=base_channels)
    return {ours_to_published(name): value for name, value in network.state_dict().items()}


def test_full_size_checkpoint_in_its_container(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "val_best_model-SA2Net.pth.tar", tmp_path / "models" / "model.pt"
    tensors = {f"module.{n}": torch.from_numpy(fill.tensor(n, tuple(s))).float() for n, s, _ in GOLDEN["tensors"]}
    torch.save({"epoch": 3, "state_dict": tensors}, source)
    assert main(["import-weights", "--network", "sa2net", str(source), str(output)]) == 0
    printed = capsys.readouterr().out
    assert "346 tensors of a published sa2net checkpoint" in printed
    assert "converted  284 tensors" in printed
    assert "left out   62 tensors, 13,187,712 values" in printed
    assert "in_channels 3, out_channels 1, base_channels 64" in printed
    assert sha256_of(output) in printed
    info = read_info(output)
    assert info["source"] == {"file": source.name, "sha256": sha256_of(source)}
    assert (info["view"], info["roi_size"], info["channel_order"]) == ("whole", [224, 224], "BGR")
    network = create_network("sa2net", in_channels=3, out_channels=1)
    load_weights(network, output, {"network": "sa2net", "in_channels": 3})
    assert torch.equal(network.head1.weight, tensors["module.outc4.weight"])  # type: ignore[union-attr]


def test_other_channels_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "best_model_state_dict.pt", tmp_path / "model.pt"
    torch.save(published(4, 2), source)
    command = ["import-weights", "--network", "sa2net", str(source), str(output)]
    assert main([*command, "--classes", "background, cytoplasm", "--roi-size", "256", "320"]) == 0
    info = read_info(output)
    assert (info["in_channels"], info["out_channels"], info["base_channels"]) == (4, 2, 8)
    assert info["class_names"] == ["background", "cytoplasm"]
    assert info["roi_size"] == [256, 320]
    assert info["channel_order"] == "RGB"  # SegPC's loader, unlike that of MoNuSeg and GlaS
    capsys.readouterr()

    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--force", "--channel-order", "BGR"]) == 0
    assert read_info(output)["channel_order"] == "BGR"


def test_what_is_refused_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "published.pth", tmp_path / "model.pt"
    command = ["import-weights", "--network", "sa2net", str(source), str(output)]

    def error_of(*more: str) -> str:
        assert main([*command, *more]) == 1
        assert not output.exists()
        return capsys.readouterr().err

    assert "published.pth does not exist" in error_of()
    tensors = published(3, 1)
    del tensors["side_conv3.bias"]
    torch.save({**tensors, "extra.weight": torch.zeros(1)}, source)
    message = error_of()
    assert str(source) in message
    assert "unknown: extra.weight" in message
    assert "missing: side_conv3.bias" in message
    torch.save({**published(3, 1), "outc4.bias": torch.full((1,), torch.nan)}, source)
    assert "not finite in head1.bias" in error_of()
    torch.save(published(3, 1), source)
    assert "--classes names 3 classes (a,b,c), but 1 output channels stand for 2" in error_of("--classes", "a,b,c")
    torch.save(torch.nn.Linear(1, 1), source)
    assert "holds Python objects" in error_of()


def test_module_imports_no_torch() -> None:
    code = "import sys, sa2_monai.cli.import_weights; assert 'torch' not in sys.modules and 'monai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
