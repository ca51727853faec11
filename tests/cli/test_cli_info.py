# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai info``: the stated facts are the facts."""

from __future__ import annotations

import importlib
import json
from importlib import metadata
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sa2_monai import __version__
from sa2_monai.cli.info import DEPENDENCIES, NETWORKS, NetworkInfo
from sa2_monai.cli.main import main

each_network = pytest.mark.parametrize("info", NETWORKS, ids=lambda info: info.name)


def build(info: NetworkInfo) -> torch.nn.Module:
    room, name = info.class_name.rsplit(".", 1)
    with torch.device("meta"):  # shapes only: no memory, no work
        return getattr(importlib.import_module(room), name)(in_channels=3, out_channels=1).eval()


@each_network
def test_parameters(info: NetworkInfo) -> None:
    assert sum(p.numel() for p in build(info).parameters()) == info.parameters


@each_network
def test_work(info: NetworkInfo) -> None:
    """Multiply-accumulates, counted by PyTorch below the modules; two operations each."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        build(info)(torch.empty(1, 3, *info.published_size, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(info.gmac, rel=0.01)


def test_work_of_attention_is_counted() -> None:
    """On the meta device; the fused kernel of the CPU would go uncounted."""
    q, k = torch.empty(2, 3, 20, 8, device="meta"), torch.empty(2, 3, 10, 8, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        torch.nn.functional.scaled_dot_product_attention(q, k, k)
    assert counter.get_total_flops() == 2 * (2 * 3 * 20 * 10 * 8) * 2  # queries x keys, weights x values


@each_network
def test_sizes(info: NetworkInfo) -> None:
    network = build(info)
    assert all(side % info.size_divisor == 0 for side in info.published_size)
    assert f"multiples of {info.size_divisor}" in info.legal_sizes
    size = 2 * info.size_divisor
    assert network(torch.empty(1, 3, size, size, device="meta")).shape[-2:] == (size, size)
    with pytest.raises(ValueError, match=str(info.size_divisor)):
        network(torch.empty(1, 3, size + 1, size, device="meta"))


@each_network
def test_the_name_builds_the_class(info: NetworkInfo) -> None:
    from sa2_monai.networks import create_network

    with torch.device("meta"):
        network = create_network(info.name, in_channels=3, out_channels=1)
    assert type(network) is type(build(info))


def test_every_network_is_listed() -> None:
    from sa2_monai.networks.factory import NETWORKS as CLASSES

    assert [info.name for info in NETWORKS] == sorted(CLASSES)


@each_network
def test_the_bundle_is_there(info: NetworkInfo, repository: Path) -> None:
    assert info.bundle in (None, f"bundles/{info.name}")
    there = (repository / "bundles" / info.name / "configs" / "metadata.json").is_file()
    assert there == (info.bundle is not None)


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for fact in (
        *(__version__, "arXiv 2309.16661", "no preprint known", "19,296,596", "34.5 GMAC for 1 x 3 x 224 x 224"),
        *("GMAC for 1 x 3 x 512 x 512", "multiples of 16", "multiples of 112", "bundles/sa2net"),
        *("maxvit_rmlp_small_rw_224.sw_in1k", "resnet50-11ad3fa6.pth"),
    ):
        assert fact in out
    assert out.count("none yet") == sum(network.bundle is None for network in NETWORKS)
    assert out.count("    encoder: ") == 2
    assert "None" not in out
    assert f"{'torch':<15} {metadata.version('torch')}" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sa2_monai"] == __version__
    facts = {network["name"]: network for network in document["networks"]}
    assert facts["sa2net"]["parameters"] == 19296596
    assert facts["svanet"]["published_size"] == [512, 512]
    assert facts["hsaunet"]["arxiv"] is None
    assert set(document["dependencies"]) == set(DEPENDENCIES)
    assert document["dependencies"]["monai"] == metadata.version("monai")


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sa2_monai.cli.info.DEPENDENCIES", ("no-such-distribution",))
    main(["info"])
    assert "no-such-distribution not installed" in capsys.readouterr().out
    main(["info", "--json"])
    assert json.loads(capsys.readouterr().out)["dependencies"] == {"no-such-distribution": None}


def test_every_dependency_of_the_package_is_listed() -> None:
    """So that a report with ``sa2-monai info`` in it says everything."""
    required = {
        requirement.split(";")[0].split(">")[0].strip().lower()
        for requirement in metadata.requires("sa2_monai") or []
        if "extra" not in requirement
    }
    assert required <= {name.lower() for name in DEPENDENCIES}
