# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai info``: the stated facts are the facts."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from sa2_monai import __version__
from sa2_monai.cli.info import DEPENDENCIES
from sa2_monai.cli.main import main
from sa2_monai.networks.catalogue import CATALOGUE


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for fact in (
        *(__version__, "arXiv 2309.16661", "no preprint known", "19,296,596", "34.5 GMAC for 1 x 3 x 224 x 224"),
        *("GMAC for 1 x 3 x 512 x 512", "multiples of 16", "multiples of 112", "bundles/sa2net"),
        *("maxvit_rmlp_small_rw_224.sw_in1k", "resnet50-11ad3fa6.pth"),
    ):
        assert fact in out
    assert all(f"{name}: sa2_monai.networks.{record.class_name}\n" in out for name, record in CATALOGUE.items())
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
