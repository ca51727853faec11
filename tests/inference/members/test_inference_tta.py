# SPDX-License-Identifier: Apache-2.0
"""Averages over members in VolumeInferer: exactly inverted, in every view, beside whatever else it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from sa2_monai.inference import EnsembleNetwork, VolumeInferer
from sa2_monai.inference.members import symmetries
from tests.inference.slice_networks import LargestTensor, make_network, make_volume

# view, roi_size, size of the volume, further options; an image is a volume of one slice
VIEWS: list[tuple[str, tuple[int, int], tuple[int, int, int], dict[str, Any]]] = [
    ("whole", (16, 16), (20, 27, 3), {}),
    ("whole", (12, 20), (20, 27, 1), {"resize": "bilinear"}),
    ("windows", (16, 16), (20, 27, 3), {"overlap": 0.5}),
    ("windows", (12, 20), (30, 27, 1), {}),
    ("windows", (16, 16), (20, 17, 9), {"orientations": "all"}),
    ("paper", (16, 16), (20, 27, 3), {}),
]


def pointwise(channels: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Turns and flips change nothing about it, to the last bit."""
    return lambda images: torch.cat([(k + 1) * images - k / 2 for k in range(channels)], dim=1)


class Equivariant(nn.Module):
    """A convolution whose kernel all flips and turns map to itself, up to the order of the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = torch.rand(channels, 1, 3, 3, generator=torch.Generator().manual_seed(0)) - 0.5
        self.kernel = torch.stack([symmetry.apply(kernel) for symmetry in symmetries((3, 3))]).mean(dim=0) * 8

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(images, self.kernel, padding=1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("view", "roi_size", "size", "more"), VIEWS)
def test_of_an_equivariant_network_nothing_changes(
    view: str, roi_size: tuple[int, int], size: tuple[int, int, int], more: dict[str, Any], channels: int
) -> None:
    volume = make_volume(size)
    for output in ["labels"] if view == "paper" else ["labels", "probabilities"]:
        options = {"view": view, "sigmoid": channels == 1, "output": output, **more}
        plain, augmented = (VolumeInferer(roi_size, **options, tta=tta) for tta in (False, True))
        network = pointwise(channels)
        if view == "windows" and output == "probabilities":  # where the windows begin is not symmetric, so their sum
            torch.testing.assert_close(augmented(volume, network), plain(volume, network), rtol=0, atol=1e-6)
        else:
            assert torch.equal(augmented(volume, network), plain(volume, network))
        if output == "probabilities":
            found, expected = augmented(volume, Equivariant(channels)), plain(volume, Equivariant(channels))
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
            assert expected.std() > 0.01


@pytest.mark.parametrize(("roi_size", "turns"), [((16, 16), (0, 1, 2, 3)), ((16, 24), (0, 2))])
def test_of_any_network_it_is_the_mean_over_what_it_sees(roi_size: tuple[int, int], turns: tuple[int, ...]) -> None:
    """By hand, with slices that have the size of the network: turn, look, turn back, average."""
    network, volume = make_network(1, 3), make_volume((*roi_size, 2))
    slices = volume[0].permute(3, 0, 1, 2)
    looks = []
    for flip in (False, True):
        for number in turns:
            seen = torch.rot90(slices, number, (2, 3))
            probability = network(torch.fliplr(seen.permute(2, 3, 0, 1)).permute(2, 3, 0, 1) if flip else seen)
            probability = probability.softmax(dim=1)
            probability = probability.flip(3) if flip else probability
            looks.append(torch.rot90(probability, -number, (2, 3)))
    stack = torch.stack(looks)
    for view in ("whole", "windows"):
        inferer = VolumeInferer(roi_size, view, output="probabilities", tta=True, uncertainty="variance")
        out = inferer(volume, network)[0].permute(3, 0, 1, 2)
        torch.testing.assert_close(out[:, :3], stack.mean(dim=0), rtol=0, atol=1e-6)
        expected = stack.var(dim=0, correction=0).sum(dim=1) / 2
        torch.testing.assert_close(out[:, 3], expected, rtol=0, atol=1e-7)
        assert expected.max() > 1e-4
        labels = VolumeInferer(roi_size, view, tta=True)(volume, network)[0, 0].permute(2, 0, 1)
        assert torch.equal(labels.long(), stack.mean(dim=0).argmax(dim=1))


@pytest.mark.parametrize("view", ["whole", "windows"])
def test_an_ensemble_is_the_mean_of_its_networks_with_and_without_turns(view: str) -> None:
    networks = [make_network(1, 2) for _ in range(3)]
    for number, network in enumerate(networks):
        network[0].weight.mul_(1 + number)
    volume = make_volume((20, 27, 2))
    for tta in (False, True):
        inferer = VolumeInferer(16, view, output="probabilities", tta=tta)
        alone = torch.stack([inferer(volume, network) for network in networks])
        torch.testing.assert_close(inferer(volume, EnsembleNetwork(networks)), alone.mean(dim=0), rtol=0, atol=1e-6)
        both = VolumeInferer(16, view, output="probabilities", tta=tta, uncertainty="all")
        assert torch.equal(both(volume, EnsembleNetwork(networks))[:, :2], inferer(volume, EnsembleNetwork(networks)))
        # Of probabilities that are there anyway the labels are those without the maps.
        labels = [
            VolumeInferer(16, view, tta=tta, uncertainty=u)(volume, networks[0])[:, :1] for u in (None, "entropy")
        ]
        assert torch.equal(labels[0].float(), labels[1])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_entropy_is_that_of_the_probabilities(channels: int) -> None:
    network, volume = make_network(1, channels), make_volume((20, 27, 3))
    for more in ({"view": "whole"}, {"view": "windows"}, {"view": "windows", "orientations": "all"}):
        inferer = VolumeInferer(
            16, sigmoid=channels == 1, output="probabilities", uncertainty="entropy", tta=True, **more
        )
        out = inferer(volume, network)[0].double()
        p = torch.cat([1 - out[:1], out[:1]]) if channels == 1 else out[:channels]
        expected = -(p * p.log()).sum(dim=0) / torch.tensor(float(len(p))).log()
        torch.testing.assert_close(out[channels], expected, rtol=0, atol=1e-5)
        assert 0 < out[channels].min() < out[channels].max() <= 1


def test_the_variance_over_three_orientations_and_members() -> None:
    networks, volume = [make_network(1, 3) for _ in range(2)], make_volume((17, 16, 9))
    networks[1][0].weight.mul_(-2)
    options = {"view": "windows", "orientations": "all", "output": "probabilities"}
    slices = {"view": "windows", "output": "probabilities"}
    looks = []
    for axis in (0, 1, 2):
        turned = volume.movedim(2 + axis, 4)
        looks += [VolumeInferer(16, **slices)(turned, network).movedim(4, 2 + axis) for network in networks]
    stack = torch.stack(looks)[:, 0]
    out = VolumeInferer(16, **options, uncertainty="all")(volume, EnsembleNetwork(networks))[0]
    torch.testing.assert_close(out[:3], stack.mean(dim=0), rtol=0, atol=1e-6)
    torch.testing.assert_close(out[4], stack.var(dim=0, correction=0).sum(dim=0) / 2, rtol=0, atol=1e-6)
    alone = VolumeInferer(16, **options, uncertainty="variance")(volume, networks[0])
    assert alone.shape == (1, 4, 17, 16, 9)


@pytest.mark.parametrize("view", ["whole", "windows"])
def test_dropout_samples_can_be_repeated_in_batches_of_any_size(view: str) -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Dropout2d(0.5), nn.Conv2d(8, 2, 3, padding=1)).eval()
    volume = make_volume((20, 27, 5))
    outs = [
        VolumeInferer(16, view, size, dropout_samples=4, uncertainty="all")(volume, network).double()
        for size in (2, 2, 5)
    ]
    assert torch.equal(outs[0], outs[1])
    torch.testing.assert_close(outs[0][:, 1:], outs[2][:, 1:], rtol=0, atol=1e-6)
    assert outs[0][0, 2].mean() > 1e-5
    whole = VolumeInferer(16, view, uncertainty="entropy")(volume, network)
    assert not torch.equal(whole[:, 1], outs[0][:, 1].float())


@pytest.mark.parametrize("view", ["whole", "windows"])
def test_memory_does_not_grow_with_the_members(view: str) -> None:
    networks = EnsembleNetwork([make_network() for _ in range(2)])
    volume = (make_volume((24, 28, 24)) * 1000).to(torch.int16)
    with LargestTensor() as largest:
        VolumeInferer(16, view=view, slice_batch_size=2, normalize=(500, 200), tta=True)(volume, networks)
    assert largest.elements == volume.numel()
    assert largest.floating <= 2 * 8 * 24 * 28


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"uncertainty": "variance"}, r"only one: add tta \(--tta\), dropout_samples .*or ask for entropy"),
        ({"uncertainty": "all", "dropout_samples": 1}, "only one"),
        ({"uncertainty": "both"}, "uncertainty is 'both', expected one of entropy, variance, all or null"),
        ({"dropout_samples": -1}, "dropout_samples must be a whole number from 0"),
        ({"uncertainty": "entropy", "view": "paper"}, "no maps in the view 'paper'"),
        ({"uncertainty": "entropy", "output": "grid"}, "no maps in the view 'paper' and on the grid"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], said: str) -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(1, 2, 1)).eval()
    with pytest.raises(ValueError, match=said):
        VolumeInferer(16, **options)(make_volume((16, 16, 2)), network)
