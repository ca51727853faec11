# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark measures what it says; how fast things are is no matter of a test."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE
from tests.support.programs import run_untraced

CONTESTANTS = ("published", "published, channels_last", "sa2_monai", "sa2_monai, accelerated")
SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "lib" / "benchmark.py"


@pytest.mark.integration
def test_report(tmp_path: Path) -> None:
    words = [
        "--size",
        "32",
        "--network",
        "sa2net",
        "--memory",
        "--turns",
        "2",
        "--batch",
        "2",
        "--work",
        "training",
        "--output",
        str(tmp_path / "b.json"),
    ]
    result = run_untraced([sys.executable, str(SCRIPT), *words])
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "b.json").read_text())
    rows = {(row["work"], row["contestant"]): row for row in report["rows"]}
    assert set(rows) == {("training", name) for name in CONTESTANTS}
    assert all(row["seconds"] > 0 and row["batch"] == 2 and row["size"] == 32 for row in rows.values())
    assert all(row["peak_mb"] > 0 for row in rows.values())
    assert rows["training", "published"]["ratio"] == 1.0
    assert result.stdout.count("| sa2net | 32 | training |") == 4


SMALL = {
    "daeformer": ({"embed_dims": (16, 32, 64)}, 32),
    "hsaunet": ({"embed_dims": (16, 32, 64), "window_size": 2}, 32),
    "msa2net": ({"encoder_channels": (32, 64, 128, 256), "encoder_depths": (1, 1, 1, 1)}, 64),
    "sa2net": ({"base_channels": 4}, 32),
    "svanet": ({"encoder": "resnet14", "base_channels": 4, "aspp_channels": 8, "img_size": 64, "former_depth": 1}, 64),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_published_side_does_without_our_layers(name: str) -> None:
    """It would share what makes ours fast."""
    in_channels, out_channels = CATALOGUE[name].published_channels
    arguments, size = SMALL[name]
    network = create_network(name, in_channels=in_channels, out_channels=out_channels, **arguments)
    form = getattr(importlib.import_module(f"tests.reference.{name}"), f"Published{CATALOGUE[name].class_name}")
    published = form(network).eval()
    used = set()
    for layer in network.modules():
        if type(layer).__module__.startswith("sa2_monai"):
            layer.register_forward_pre_hook(lambda layer, _: used.add(type(layer).__name__))
    with torch.no_grad():
        published(torch.rand(1, in_channels, size, size))
        assert used <= {"ResNetEncoder"}  # MONAI's own layers one after the other
        network.eval()(torch.rand(1, in_channels, size, size))
    assert type(network).__name__ in used
