# SPDX-License-Identifier: Apache-2.0
"""tools/new-network names what a network lacks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sa2_monai.networks.catalogue import CATALOGUE

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "lib"))
import new_network


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["new_network.py", *words])
    return new_network.main()


@pytest.mark.parametrize("name", CATALOGUE)
def test_networks_of_the_catalogue(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, name) == 0
    assert f"{name}: nothing is missing." in capsys.readouterr().out


def test_an_invented_network_lacks_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "unetx") == 1
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == f"unetx: {len(lines)} missing"
    files = [line.split(": ")[0].strip() for line in lines]
    for file in (
        *("sa2_monai/networks/catalogue.py", "sa2_monai/networks/unetx.py", "tests/networks/test_networks_unetx.py"),
        *("tests/goldens/unetx.npz", "tests/reference/unetx.py", "sa2_monai/weights/published/unetx.py"),
        *("bundles/unetx/configs/train.yaml", "bundles/unetx/configs/inference.yaml"),
        *("bundles/unetx/configs/metadata.json", "bundles/unetx/docs/README.md", "docs/protocols/unetx.yaml"),
    ):
        assert file in files


def test_a_file_without_its_content_is_named(tmp_path: Path) -> None:
    network, tests = tmp_path / "sa2_monai" / "networks" / "sa2net.py", tmp_path / "tests" / "networks"
    for folder in (network.parent, tests):
        folder.mkdir(parents=True)
    network.write_text("class Other:\n    pass\n")
    (tests / "test_networks_sa2net.py").write_text('class TestSA2Net(BaseNetworkTester):\n    NAME = "sa2net"\n')
    lines = new_network.missing("sa2net", tmp_path)
    assert "sa2_monai/networks/sa2net.py: is there, but lacks the network, SA2Net" in lines
    assert not any("test_networks_sa2net" in line for line in lines)
    network.write_text("class SA2Net(nn.Module):\n    pass\n")
    assert not any(line.startswith("sa2_monai/networks/") for line in new_network.missing("sa2net", tmp_path))


def test_names(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "../SA2Net")
    assert "'../SA2Net' is no name of a network: lower-case letters" in capsys.readouterr().err
