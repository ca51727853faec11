# SPDX-License-Identifier: Apache-2.0
"""Weights of one network, or of one form of it, in another: refused with what the tensors tell."""

from __future__ import annotations

import functools

import pytest
import torch

from sa2_monai.networks import create_network
from sa2_monai.weights import check_state_dict, convert_published
from tests.support.published_states import GOLDENS, State, names_and_shapes

each_golden = pytest.mark.parametrize("name", GOLDENS)


@functools.cache
def ours(name: str) -> State:
    return convert_published(GOLDENS[name][0], names_and_shapes(name))


@functools.cache
def network(name: str, **changes: int) -> torch.nn.Module:
    network_name, arguments = GOLDENS[name]
    with torch.device("meta"):
        return create_network(network_name, **{**arguments, **changes})


@each_golden
def test_another_network(name: str) -> None:
    for other in GOLDENS:
        if GOLDENS[other][0] == GOLDENS[name][0]:
            continue
        found = type(network(other)).__name__
        with pytest.raises(ValueError, match=rf"another network \({GOLDENS[name][0]}\), this one is {found}\. Give a"):
            check_state_dict(network(other), ours(name), "model.pt")


@each_golden
def test_published_names(name: str) -> None:
    command = f"sa2-monai import-weights --network {GOLDENS[name][0]} published.pth"
    for other in GOLDENS:
        with pytest.raises(ValueError, match=command):
            check_state_dict(network(other), names_and_shapes(name), "published.pth")


@pytest.mark.parametrize(("name", "level", "other"), [("msa2net", "dual", "lka"), ("msa2net_released", "lka", "dual")])
def test_other_reading_of_msa2net(name: str, level: str, other: str) -> None:
    built = network("msa2net" if name == "msa2net_released" else "msa2net_released")
    with pytest.raises(ValueError, match=f"made with deep_level={level}, this MSA2Net with {other}. Build .*={level}"):
        check_state_dict(built, ours(name), "model.pt")


@each_golden
def test_other_channels(name: str) -> None:
    classes = GOLDENS[name][1]["out_channels"]
    with pytest.raises(
        ValueError, match=rf"has {classes} output channels, .* has 7: .*made with out_channels={classes}"
    ):
        check_state_dict(network(name, out_channels=7), ours(name), "model.pt")


def test_other_widths_are_told_by_an_example() -> None:
    with torch.device("meta"):
        narrow = create_network("daeformer", in_channels=3, out_channels=9, mlp_ratio=2)
    with pytest.raises(ValueError, match=r"tensors differ in shape, e\.g\. stage1\.blocks\.0\.ffn1\.expand\.weight"):
        check_state_dict(narrow, ours("daeformer"), "model.pt")


def test_missing_blocks_are_named() -> None:
    with torch.device("meta"):
        deep = create_network("hsaunet", in_channels=3, out_channels=2, depths=(2, 2, 3))
    with pytest.raises(
        ValueError, match=r"not a checkpoint of this HSAUNet: 429 of .*missing: stage3\.blocks\.2\.norm1"
    ):
        check_state_dict(deep, ours("hsaunet"), "model.pt")
