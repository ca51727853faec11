# SPDX-License-Identifier: Apache-2.0
"""Memory format and activation checkpointing of the networks, from outside."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ignite.engine import Engine
from torch import nn

from sa2_monai.networks import create_network
from sa2_monai.training import NetworkForm
from tests.support.narrow import WIDTH

NETWORKS = ("daeformer", "hsaunet", "msa2net", "sa2net", "svanet")


def network(name: str) -> nn.Module:
    torch.manual_seed(4)
    options = {key: value for key, value in WIDTH.get(name, {}).items() if key != "roi_size"}
    return create_network(name, in_channels=3, out_channels=2, **options)


def shaped(model: nn.Module, **form: Any) -> nn.Module:
    engine = Engine(lambda *_: None)
    NetworkForm(model, **form).attach(engine)
    engine.run([0])
    engine.run([0])  # a second start changes nothing
    return model


def step(model: nn.Module) -> tuple[torch.Tensor, int]:
    """Loss of a step in training, and how many values its backward pass keeps."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    torch.manual_seed(7)  # of what is drawn in training
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model.train()(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)))
    output = output if isinstance(output, torch.Tensor) else sum(output)
    loss = output.square().mean()
    loss.backward()
    return loss.detach(), sum(kept.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_checkpointing_gives_the_same_gradients(name: str) -> None:
    plain, checkpointed = network(name), shaped(network(name), checkpointing=True)
    (loss, kept), (same, fewer) = step(plain), step(checkpointed)
    assert torch.equal(loss, same)
    assert fewer < 0.7 * kept
    for (key, a), b in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), key
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, msg=key)
    for (key, ours), theirs in zip(plain.named_buffers(), checkpointed.buffers(), strict=True):
        assert torch.equal(ours, theirs), key  # running statistics have seen one pass
    assert plain.state_dict().keys() == checkpointed.state_dict().keys()


@pytest.mark.parametrize("name", ["daeformer", "sa2net"])
def test_channels_last(name: str) -> None:
    plain, last = network(name), shaped(network(name), channels_last=True)
    assert any(
        p.ndim == 4 and p.shape[2] > 1 and p.is_contiguous(memory_format=torch.channels_last) for p in last.parameters()
    )
    torch.testing.assert_close(step(last)[0], step(plain)[0])


def test_checkpointing_needs_stages() -> None:
    with pytest.raises(ValueError, match="Sequential is no network of this package"):
        shaped(nn.Sequential(nn.Linear(1, 1)), checkpointing=True)
