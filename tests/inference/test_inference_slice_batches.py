# SPDX-License-Identifier: Apache-2.0
"""Batches of slices: halved when memory is out, told once, kept for what follows; the labels are the same."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from sa2_monai.inference import VolumeInferer
from tests.inference.slice_networks import make_network, make_volume


class Small(nn.Module):
    """A network for which a device has room for so many images."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.network = make_network()
        self.room = room
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError(f"tried to allocate {len(x)} images")
        return self.network(x)


@pytest.mark.parametrize(
    ("wanted", "room", "sizes"),
    [
        (8, 8, [8, 2]),
        (8, 5, [8, 4, 4, 2]),
        (8, 1, [8, 4, 2, *[1] * 10]),
        (7, 3, [7, 3, 3, 3, 1]),
        ("auto", 8, [8, 2]),
        ("auto", 4, [8, 4, 4, 2]),
    ],
)
def test_halved_until_they_fit(
    wanted: int | str, room: int, sizes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    network, volume = Small(room).eval(), make_volume((16, 16, 10))
    inferer = VolumeInferer(16, slice_batch_size=wanted)
    with caplog.at_level(logging.WARNING):
        labels = inferer(volume, network)
        assert network.sizes == sizes
        assert torch.equal(labels, VolumeInferer(16)(volume, network.network))
        network.sizes.clear()
        assert torch.equal(inferer(volume, network), labels)
    assert max(network.sizes) <= room  # the next volume knows it
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (max(sizes) > room)
    if told:
        first = max(sizes)
        assert told[0] == (
            f"a batch of {first} does not fit into the memory of cpu: half of it from now on, and again where that is "
            f"too much. batch_size: {first // 2} spares the attempt."
        )


@pytest.mark.parametrize("orientations", ["slices", "all"])
def test_windows_are_halved_as_well(orientations: str) -> None:
    network, volume = Small(3).eval(), make_volume((24, 24, 5))
    labels = VolumeInferer(16, view="windows", orientations=orientations)(volume, network)
    assert max(network.sizes[2:]) <= 4
    expected = VolumeInferer(16, view="windows", orientations=orientations)(volume, network.network)
    assert torch.equal(labels, expected)


def test_no_room_at_all() -> None:
    with pytest.raises(torch.OutOfMemoryError, match=r"no room for one slice in the memory of cpu .*--device cpu"):
        VolumeInferer(16)(make_volume((16, 16, 3)), Small(0).eval())
