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
    with FlopCounterMode(display=False) as counter:
        build(info)(torch.empty(1, 3, 224, 224, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(info.gmac, rel=0.01)


@each_network
def test_sizes(info: NetworkInfo) -> None:
    network = build(info)
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


@each_network
def test_the_bundle_is_there(info: NetworkInfo, repository: Path) -> None:
    assert Path(info.bundle).name == info.name
    assert (repository / info.bundle / "configs" / "metadata.json").is_file()


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for fact in (__version__, "2309.16661", "19,296,596", "34.5 GMAC", "multiples of 16", "bundles/sa2net"):
        assert fact in out
    assert f"{'torch':<15} {metadata.version('torch')}" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sa2_monai"] == __version__
    assert document["networks"][0]["parameters"] == 19296596
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
