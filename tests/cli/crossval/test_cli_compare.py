# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai compare``: what its options become, and what is refused before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sa2_monai.cli.main import main

COMMAND = ("compare", "data", "--output", "out", "--networks", "sa2net,daeformer")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Requests, instead of comparisons."""
    found: list[Any] = []

    def compare_networks(request: Any) -> dict[str, Any]:
        found.append(request)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "table.txt").write_text("Take sa2net.\n")
        networks = {request.title(name): {"folder": str(request.folder(name))} for name in request.networks}
        return {"recommendation": {"choice": "sa2net"}, "networks": networks}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sa2_monai.bundle.comparison.run.compare_networks", compare_networks)
    return found


def test_options(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    more = ("--folds", "3", "--time", "12", "--seed", "7", "--epochs", "5", "--devices", "cpu,cpu", "--tta")
    assert main([*COMMAND, *more, "batch_size=4", "sa2net.base_channels=8"]) == 0
    (request,) = asked
    assert list(request.networks) == ["sa2net", "daeformer"]
    sa2net, daeformer = (request.crossval(name) for name in request.networks)
    common = {"seed": 7, "batch_size": 4, "max_epochs": 5, "tta": True}
    assert dict(sa2net.overrides) == {**common, "base_channels": 8}
    assert dict(daeformer.overrides) == common
    for crossval in (sa2net, daeformer):
        assert (crossval.folds, crossval.seed, crossval.minutes, crossval.devices) == (3, 7, 12.0, ["cpu", "cpu"])
        assert crossval.output == Path.cwd() / "out" / crossval.network
    printed = capsys.readouterr().out
    assert "Take sa2net." in printed
    assert "predict IMAGES --bundle out/sa2net --output results" in printed


def test_a_variant_has_a_folder_without_a_colon(asked: list[Any]) -> None:
    assert main(["compare", "data", "--output", "out", "--networks", "sa2net, sa2net:plain_skips"]) == 0
    assert asked[0].folder("sa2net:plain_skips") == Path.cwd() / "out" / "sa2net-plain_skips"


REFUSED = {
    "no data": (["compare", "--output", "out", "--networks", "sa2net"], "give DATA"),
    "no network": ([*COMMAND[:-1], ","], "--networks is empty"),
    "twice": ([*COMMAND[:-1], "sa2net,sa2net"], "--networks has sa2net twice"),
    "one fold": ([*COMMAND, "--folds", "1"], "--folds is 1, expected at least 2"),
    "another network's value": (
        [*COMMAND, "svanet.base_channels=8"],
        "svanet.base_channels: there is no network svanet in --networks, which has sa2net, daeformer",
    ),
    "what the command sets": ([*COMMAND, "fold=1"], "fold is set by the command itself"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED)
def test_refused(words: list[str], said: str, asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
    assert asked == []
