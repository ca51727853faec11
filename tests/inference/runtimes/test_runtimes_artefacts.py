# SPDX-License-Identifier: Apache-2.0
"""The cache: found again, made again where it is damaged, and another file for whatever is not the same."""

from __future__ import annotations

import copy
import logging
import multiprocessing
from pathlib import Path

import pytest
import torch
from torch import nn

from sa2_monai.inference.runtimes.artefacts import artefact_key, cached


def test_made_once(cache: Path) -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"graph\nof two lines"

    assert cached("a", make) == (b"graph\nof two lines", False)
    assert cached("a", make) == (b"graph\nof two lines", True)
    assert cached("a", make, renew=True)[1] is False
    assert len(made) == 2
    assert [file.name for file in cache.iterdir()] == ["a"]


DAMAGES = {
    "flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "cut": lambda content: content[:-3],
    "empty": lambda content: b"",
    "other file": lambda content: b"something else",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged(damage: str, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    cached("a", lambda: b"0123456789")
    (cache / "a").write_bytes(DAMAGES[damage]((cache / "a").read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert cached("a", lambda: b"0123456789") == (b"0123456789", False)
    assert "damaged, it is made again" in caplog.text
    assert cached("a", lambda: b"") == (b"0123456789", True)


def test_a_folder_that_cannot_be_written(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert cached("a", lambda: b"graph") == (b"graph", False)
    assert "is prepared anew each time" in caplog.text


def _fill(number: int) -> bytes:
    return cached("shared", lambda: b"x" * 2_000_000)[0][-5:]


def test_several_programs(cache: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert set(pool.map(_fill, range(8))) == {b"xxxxx"}
    assert [file.name for file in cache.iterdir()] == ["shared"]


def test_keys(network: nn.Module) -> None:
    """Weights to the bit, statistics, structure, shape and versions count; where the network lies does not."""

    def changed(name: str) -> nn.Module:
        other = copy.deepcopy(network)
        values = other.state_dict()[name].view(torch.int32).reshape(-1)
        values[0] ^= 1
        return other

    smoother = copy.deepcopy(network)
    smoother[1].eps = 1e-3
    keys = [
        artefact_key(network, (1, 3, 32, 32), ["torch 1"]),
        artefact_key(network, (1, 3, 32, 48), ["torch 1"]),
        artefact_key(network, (1, 3, 32, 32), ["torch 2"]),
        artefact_key(changed("0.weight"), (1, 3, 32, 32), ["torch 1"]),
        artefact_key(changed("1.running_mean"), (1, 3, 32, 32), ["torch 1"]),
        artefact_key(smoother, (1, 3, 32, 32), ["torch 1"]),
    ]
    assert len(set(keys)) == len(keys)
    assert artefact_key(copy.deepcopy(network), (1, 3, 32, 32), ["torch 1"]) == keys[0]
