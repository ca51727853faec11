# SPDX-License-Identifier: Apache-2.0
"""A network as it is published and as this package runs it, on the same parameters.

:data:`CONTESTANTS` names them; another way to run a network is one more entry.
"""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from monai.utils import optional_import
from torch import Tensor, nn

from benchmark.frame.rows import Skipped
from sa2_monai.networks import create_network
from sa2_monai.networks.accelerate import accelerate
from sa2_monai.networks.catalogue import CATALOGUE

__all__ = ["CONTESTANTS", "Contestant", "contestants", "image", "network_of", "published_form"]

Function = Callable[[Tensor], Any]
_ENGINE = (("inference",), ("cpu",))


@dataclass(frozen=True)
class Contestant:
    """A way to run a network.

    Attributes:
        make: from the network's name, our network, which it may change, and an image of the size that is measured;
            raises :class:`Skipped` where this machine does not have it.
        works: ``inference``, ``training``.
        devices: where it exists.
        rounded: of low precision: it differs from the published network by more than the order of additions.
        more: measured on request alone.
    """

    make: Callable[[str, nn.Module, Tensor], Function]
    works: tuple[str, ...] = ("inference", "training")
    devices: tuple[str, ...] = ("cpu", "cuda")
    rounded: bool = False
    more: bool = False


class ChannelsLast(nn.Module):
    """A network whose kernels and images lie in channels_last memory."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Any:
        """Outputs of the network."""
        return self.network(x.contiguous(memory_format=torch.channels_last))


class Autocast(nn.Module):
    """A network in bfloat16 where PyTorch holds it for safe."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        """Outputs of the network."""
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return self.network(x)


def contiguous(network: nn.Module) -> nn.Module:
    """Kernels in the memory format that PyTorch gives them."""
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def published_form(name: str, network: nn.Module) -> nn.Module:
    """The published order of operations with the parameters of our network."""
    module = importlib.import_module(f"tests.reference.{name}")
    form: nn.Module = getattr(module, f"Published{CATALOGUE[name].class_name}")(network)
    return form


def in_runtime(runtime: str, precision: str, name: str, network: nn.Module, x: Tensor) -> Function:
    """A network in another engine than PyTorch's eager mode."""
    runtimes, there = optional_import("sa2_monai.inference.runtimes")
    if not there:
        raise Skipped(f"this version has no runtime {runtime}")
    try:
        prepared: Function = runtimes.prepare(accelerate(network.eval()), runtime, precision, example_shape=x.shape)
    except (ImportError, runtimes.RuntimeRefusedError) as reason:
        raise Skipped(str(reason)) from reason
    return prepared


# Ours keep the kernels in channels_last memory; the published networks do not, unless somebody asks for it.
CONTESTANTS: dict[str, Contestant] = {
    "published": Contestant(lambda name, net, x: published_form(name, contiguous(net))),
    "published, channels_last": Contestant(lambda name, net, x: ChannelsLast(published_form(name, net))),
    "sa2_monai": Contestant(lambda name, net, x: net),
    "sa2_monai, accelerated": Contestant(lambda name, net, x: accelerate(net), ("inference",), ("cpu",)),
    "sa2_monai, channels_last": Contestant(lambda name, net, x: ChannelsLast(net), devices=("cuda",)),
    "sa2_monai, bfloat16 autocast": Contestant(lambda name, net, x: Autocast(net), rounded=True, more=True),
    "sa2_monai, accelerated bf16": Contestant(
        lambda name, net, x: Autocast(accelerate(net)), *_ENGINE, rounded=True, more=True
    ),
    "sa2_monai, torch.compile": Contestant(lambda name, net, x: torch.compile(net), more=True),
    "sa2_monai, compile bf16": Contestant(partial(in_runtime, "compile", "bf16"), *_ENGINE, rounded=True, more=True),
    "sa2_monai, openvino bf16": Contestant(partial(in_runtime, "openvino", "bf16"), *_ENGINE, rounded=True, more=True),
    "sa2_monai, onnxruntime": Contestant(partial(in_runtime, "onnxruntime", "fp32"), *_ENGINE, more=True),
}


def network_of(name: str, device: str) -> nn.Module:
    """Ours with statistics as after training: ours and the published one have to treat them alike."""
    in_channels, out_channels = CATALOGUE[name].published_channels
    torch.manual_seed(0)
    network = create_network(name, in_channels=in_channels, out_channels=out_channels).to(device)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.uniform_(-0.1, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
    return network


def image(name: str, batch: int, size: int | None, device: str) -> Tensor:
    """Random images ``(B, C, H, W)`` of the published size, or of ``size`` rows and columns."""
    record = CATALOGUE[name]
    height, width = (size, size) if size else record.published_size
    return torch.rand(batch, record.published_channels[0], height, width, device=device)


def contestants(name: str, work: str, x: Tensor, more: bool = False) -> dict[str, Function]:
    """Those that exist for the work, in the mode for it; the first one is what the others are compared with."""
    device = x.device.type
    network = network_of(name, device)
    found: dict[str, Function] = {}
    for title, contestant in CONTESTANTS.items():
        if work in contestant.works and device in contestant.devices and (more or not contestant.more):
            try:
                found[title] = contestant.make(name, copy.deepcopy(network), x)
            except Skipped as reason:
                print(f"{title} is left out: {reason}", file=sys.stderr)
    for function in found.values():
        if isinstance(function, nn.Module):
            function.train(work == "training")
    return found
