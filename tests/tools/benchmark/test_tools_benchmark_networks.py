# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark measures what it says; how fast things are is no matter of a test."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch
from benchmark.contestants import measure, networks
from benchmark.frame.command import main, parse

from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE


def test_report(tmp_path: Path) -> None:
    words = ["--work", "training", "--size", "32", "--network", "sa2net", "--turns", "2", "--batch", "2"]
    assert main([*words, "--output", str(tmp_path / "b.json")]) == 0
    report = json.loads((tmp_path / "b.json").read_text())
    rows = {row["contestant"]: row for row in report["rows"]}
    assert set(rows) == {"published", "published, channels_last", "sa2_monai"}
    for row in rows.values():
        assert row["median_ms"] > 0
        assert (row["suite"], row["case"]) == ("train_step", "sa2net 32 x 32, batch 2")
    assert rows["published"]["ratio"] == 1.0


def test_the_fastest_of_ours_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = ("published", "sa2_monai", "sa2_monai, accelerated", "sa2_monai, bfloat16 autocast")
    monkeypatch.setattr(networks, "CONTESTANTS", {name: networks.CONTESTANTS[name] for name in chosen})
    suite, args = parse("forward", ["--size", "32", "--network", "sa2net", "--turns", "1", "--more"])
    rows = {row["contestant"]: row for row in suite.run(args)}
    assert set(rows) == {*chosen, "recommended"}
    best = min(chosen[1:], key=lambda name: rows[name]["median_ms"])
    assert (rows["recommended"]["note"], rows["recommended"]["ratio"]) == (best, rows[best]["ratio"])
    assert rows["sa2_monai"]["same_labels"] == 1.0


def test_contestants_that_differ_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = networks.Contestant(lambda name, net, x: lambda y: net.eval()(y) + 1e-3)
    kept = {"published": networks.CONTESTANTS["published"], "sa2_monai": wrong}
    monkeypatch.setattr(networks, "CONTESTANTS", kept)
    monkeypatch.setattr(measure, "CONTESTANTS", kept)
    suite, args = parse("forward", ["--size", "32", "--network", "sa2net"])
    with pytest.raises(SystemExit, match=r"sa2_monai differs from the published network by 0\.00.*: nothing is timed"):
        list(suite.run(args))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is told by Linux")
def test_peak_memory() -> None:
    assert measure.peak("sa2net", "inference", "sa2_monai", [1, 3, 32, 32], "cpu") >= 0


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
