# SPDX-License-Identifier: Apache-2.0
"""The parts of an average over members: running mean, flips and turns, thinned networks, and their product."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sa2_monai.inference import EnsembleNetwork
from sa2_monai.inference.members import Members, RunningMean, Symmetry, symmetries
from sa2_monai.inference.members.dropout import dropout_modules, dropout_sample
from sa2_monai.networks import create_network
from sa2_monai.networks.accelerate import accelerate
from tests.support.narrow import WIDTH


def test_mean_and_variance_are_those_of_all_members_at_once() -> None:
    members = torch.rand(7, 2, 3, 4, 5, dtype=torch.float64)  # members, images, classes, rows, columns
    running = RunningMean.of(members[0].clone(), with_spread=True)
    for member in members[1:]:
        running.add(member)
    assert running.count == 7
    assert running.variance is not None
    torch.testing.assert_close(running.mean, members.mean(dim=0))
    torch.testing.assert_close(running.variance, members.var(dim=0, correction=0).sum(dim=1, keepdim=True))


def test_equal_members_have_their_mean_to_the_bit_and_no_variance() -> None:
    member = torch.rand(1, 3, 16, 16)
    running = RunningMean.of(member.clone(), with_spread=True)
    for _ in range(12):
        running.add(member)
    assert torch.equal(running.mean, member)
    assert running.variance is not None
    assert not running.variance.any()


@pytest.mark.parametrize(("size", "number"), [((6, 6), 8), ((6, 4), 4), ((5, 7), 4)])
def test_every_flip_and_turn_is_another_one_keeps_the_size_and_is_undone(size: tuple[int, int], number: int) -> None:
    image = torch.arange(2.0 * size[0] * size[1]).reshape(1, 2, *size)
    found = symmetries(size)
    assert found[0] == Symmetry()
    turned = [symmetry.apply(image) for symmetry in found]
    assert {one.shape for one in turned} == {image.shape}
    assert len({tuple(one.flatten().tolist()) for one in turned}) == len(found) == number
    for symmetry, one in zip(found, turned, strict=True):
        assert torch.equal(symmetry.undo(one), image)


def test_members_are_networks_times_samples_times_symmetries() -> None:
    networks = [nn.Sequential(nn.Dropout(0.5), nn.Conv2d(1, 2, 3, padding=1)).eval() for _ in range(3)]
    image = torch.rand(2, 1, 6, 6)
    members = Members(EnsembleNetwork(networks), tta=True, dropout_samples=2, size=(6, 6))
    with torch.no_grad():
        found = torch.stack([member(image) for member in members])
    assert len(found) == len(members) == 3 * 2 * 8
    assert len(torch.unique(found, dim=0)) == len(found)
    with torch.no_grad():
        plain = [member(image) for member in Members(EnsembleNetwork(networks), False, 0, (6, 6))]
        assert all(torch.equal(one, network(image)) for one, network in zip(plain, networks, strict=True))


def test_samples_need_dropout() -> None:
    with pytest.raises(ValueError, match=r"dropout_samples is 3, but the network drops nothing.*--dropout 0\.1"):
        Members(nn.Sequential(nn.Dropout(0.0), nn.Conv2d(1, 2, 1)), False, 3, (6, 6))
    with pytest.raises(ValueError, match="drops nothing"):
        Members(lambda images: images, False, 3, (6, 6))


@pytest.mark.parametrize("layer", [nn.Dropout(0.4), nn.Dropout2d(0.4)])
def test_a_sample_is_one_thinned_network(layer: nn.Module) -> None:
    """All images lose the same, in whatever batch; another sample loses something else; nobody's seed is touched."""
    network = nn.Sequential(nn.BatchNorm2d(50), layer, nn.Identity()).eval()
    images = torch.ones(3, 50, 4, 4)
    state = torch.get_rng_state()
    with dropout_sample(network, 0):
        first, alone = network(images), network(images[:1])
        assert not network[0].training
    with dropout_sample(network, 1):
        second = network(images)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[:1], alone)
    assert not torch.equal(first, second)
    # What stays is scaled, so that the mean over samples is the whole network.
    assert 0.5 < (first > 0).float().mean() < 0.7
    torch.testing.assert_close(first[first > 0], (network(images)[:1].expand_as(first) / 0.6)[first > 0])
    assert torch.equal(network(images), nn.BatchNorm2d(50).eval()(images))
    assert "forward" not in vars(layer)


@pytest.mark.parametrize("name", sorted(WIDTH))
def test_all_networks_can_be_thinned(name: str) -> None:
    """Of a network without it, dropout in evaluation mode changes nothing; its samples differ and can be repeated."""
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    network = accelerate(create_network(name, in_channels=3, out_channels=2, dropout=0.3, **WIDTH[name]).eval())
    assert dropout_modules(network)
    with torch.no_grad():
        whole = network(image)
        found = []
        for sample in (0, 1, 0):
            with dropout_sample(network, sample):
                found.append(network(image))
        with dropout_sample(network, 0):
            one_by_one = torch.cat([network(image[:1]), network(image[1:])])
        assert torch.equal(network(image), whole)
    assert torch.equal(found[0], found[2])
    assert not torch.allclose(found[0], found[1], atol=1e-4)
    assert not torch.allclose(found[0], whole, atol=1e-4)
    torch.testing.assert_close(one_by_one, found[0], rtol=1e-4, atol=1e-4)
