# SPDX-License-Identifier: Apache-2.0
"""The catalogue: the stated facts are the facts, and everything that belongs to a record is there."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE, Network, network_names, network_record
from sa2_monai.networks.complexity import count_macs, count_parameters
from sa2_monai.networks.factory import network_class, record_of

each_network = pytest.mark.parametrize("record", [*map(network_record, network_names())], ids=network_names())


def build(record: Network) -> torch.nn.Module:
    with torch.device("meta"):  # shapes only: no memory, no work
        return create_network(record.name, in_channels=3, out_channels=1).eval()


@each_network
def test_parameters(record: Network) -> None:
    assert count_parameters(build(record)) == record.parameters


@each_network
def test_work(record: Network) -> None:
    assert count_macs(build(record), 3, record.published_size) / 1e9 == pytest.approx(record.gmac, rel=0.01)


def test_work_of_attention_is_counted() -> None:
    """On the meta device; the fused kernel of the CPU would go uncounted."""
    q, k = torch.empty(2, 3, 20, 8, device="meta"), torch.empty(2, 3, 10, 8, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        torch.nn.functional.scaled_dot_product_attention(q, k, k)
    assert counter.get_total_flops() == 2 * (2 * 3 * 20 * 10 * 8) * 2  # queries x keys, weights x values


@each_network
def test_sizes(record: Network) -> None:
    network = build(record)
    assert all(side % record.size_divisor == 0 for side in record.published_size)
    assert f"multiples of {record.size_divisor}" in record.legal_sizes
    size = 2 * record.size_divisor
    assert network(torch.empty(1, 3, size, size, device="meta")).shape[-2:] == (size, size)
    with pytest.raises(ValueError, match=str(record.size_divisor)):
        network(torch.empty(1, 3, size + 1, size, device="meta"))


@each_network
def test_names(record: Network) -> None:
    assert network_record(record.name) is record
    assert record.bundle in CATALOGUE
    place = "networks" if record.host is None else "networks.baselines"
    network = build(record)
    assert type(network) is network_class(record.name)
    assert (type(network).__module__, type(network).__name__) == (
        f"sa2_monai.{place}.{record.name}",
        record.class_name,
    )
    assert record_of(network) is record
    assert record_of(torch.nn.Linear(1, 1)) is None


@each_network
def test_options_are_arguments_of_the_class(record: Network) -> None:
    defaults = network_class(record.name).__init__.__kwdefaults__
    assert set(record.options) <= set(defaults)
    assert {encoder.option for encoder in record.encoders} <= {None, *(f"resnet{depth}" for depth in (50, 101, 152))}
    assert bool(record.encoders) == (record.encoder_weights is not None) == hasattr(build(record), "encoder")


@each_network
def test_grey_as_colour(record: Network) -> None:
    with torch.device("meta"):
        grey = create_network(record.name, in_channels=1, out_channels=1).state_dict()
    same = all(grey[name].shape == value.shape for name, value in build(record).state_dict().items())
    assert same == record.grey_as_colour


@each_network
def test_smallest_batch(record: Network) -> None:
    size = (2 * record.size_divisor, 2 * record.size_divisor)
    network = build(record).train()
    network(torch.empty(record.smallest_batch, 3, *size, device="meta"))
    if record.smallest_batch > 1:
        with pytest.raises(ValueError, match=f"must be of {record.smallest_batch} images at least"):
            network(torch.empty(record.smallest_batch - 1, 3, *size, device="meta"))


def test_the_catalogue_does_without_torch() -> None:
    words = "import sys, sa2_monai.networks.catalogue; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


def test_unknown_names_of_the_package() -> None:
    import sa2_monai.networks

    with pytest.raises(AttributeError, match="has no attribute 'VNet'"):
        sa2_monai.networks.VNet  # noqa: B018 - the access is what is tested
