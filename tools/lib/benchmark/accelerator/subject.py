# SPDX-License-Identifier: Apache-2.0
"""The networks that are measured on an accelerator, what they are fed with, and what can be switched there."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.contestants.networks import contiguous, network_of, published_form
from benchmark.frame.rows import Row
from sa2_monai.losses import BalancedBCEDiceLoss, BoundaryDoULoss, DeepSupervisionLoss
from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE
from tests.support.narrow import WIDTH

__all__ = ["PRECISIONS", "Subject", "figures", "float_switches", "module_of", "peak_mb"]

#: What autocast is opened with; ``None`` for no autocast.
PRECISIONS: dict[str, torch.dtype | None] = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}
_LARGE = {"sa2net": 16, "svanet": 8}  # slices of a large batch; 24, as most were published with, for the others


@dataclass(frozen=True)
class Subject:
    """A network to be measured.

    Attributes:
        name: of the network.
        device: where.
        narrow: as narrow as it can be, on images of 32 x 32: to try the suite itself.
    """

    name: str
    device: torch.device
    narrow: bool

    @property
    def large(self) -> int:
        """Images of the large batch."""
        return 2 if self.narrow else _LARGE.get(self.name, 24)

    @property
    def channels(self) -> tuple[int, int]:
        """Of the input and the output."""
        return CATALOGUE[self.name].published_channels

    def network(self) -> nn.Module:
        """The network on the device, its statistics as after training."""
        if not self.narrow:
            return network_of(self.name, str(self.device))
        torch.manual_seed(0)
        inputs, outputs = self.channels
        return create_network(self.name, in_channels=inputs, out_channels=outputs, **WIDTH[self.name]).to(self.device)

    def published(self, network: nn.Module) -> nn.Module:
        """The published order of operations with a copy of the parameters."""
        return published_form(self.name, contiguous(copy.deepcopy(network)))

    def images(self, batch: int) -> Tensor:
        """Smooth images in [0, 1] on the device, as a camera sees them; a network never meets white noise."""
        height, width = (32, 32) if self.narrow else CATALOGUE[self.name].published_size
        coarse = torch.rand(
            batch, self.channels[0], height // 8, width // 8, generator=torch.Generator().manual_seed(1)
        )
        smooth = nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
        return smooth.to(self.device)

    def target(self, images: Tensor) -> Tensor:
        """Labels (B, 1, H, W) of two classes."""
        return (images[:, :1] > 0.5).float()

    def loss(self) -> Callable[[Any, Tensor], Tensor]:
        """A published loss for the number of outputs."""
        return DeepSupervisionLoss(BalancedBCEDiceLoss()) if self.channels[1] == 1 else BoundaryDoULoss()

    def autocast(self, precision: str, **options: Any) -> contextlib.AbstractContextManager[Any]:
        """The region in which a network calculates."""
        dtype = PRECISIONS[precision]
        return torch.autocast(self.device.type, dtype, **options) if dtype else contextlib.nullcontext()

    def labels(self, logits: Tensor) -> Tensor:
        """Classes (B, H, W)."""
        return logits[:, 0] > 0 if self.channels[1] == 1 else logits.argmax(dim=1)

    def title(self, batch: int) -> str:
        """What a row says of it."""
        height, width = self.images(1).shape[-2:]
        return f"{self.name} {height} x {width}, batch {batch}"


def figures(case: str, contestant: str, **found: Any) -> Row:
    """A row; what was not measured is empty."""
    empty = dict.fromkeys(("ratio", "spread", "median_ms", "peak_mb", "error", "same_labels", "note"))
    return {"case": case, "contestant": contestant, **empty, **found}


def module_of(device: torch.device) -> Any:
    """``torch.cuda``, or what is like it for another accelerator."""
    return torch.get_device_module(device)


def peak_mb(work: Callable[[], Any], device: torch.device) -> float:
    """MiB of the device that some work needs above what was in use."""
    module = module_of(device)
    module.synchronize()
    module.reset_peak_memory_stats()
    before = module.memory_allocated()
    work()
    module.synchronize()
    return (module.max_memory_allocated() - before) / 2**20


@contextlib.contextmanager
def float_switches(fast: bool) -> Iterator[None]:
    """With or without TF32 in convolutions and products, and cuDNN's search for the fastest algorithm."""
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.benchmark, cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if fast else "highest")
    cudnn.benchmark = cudnn.allow_tf32 = fast  # TF32 of convolutions is on in torch unless somebody says no
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.benchmark, cudnn.allow_tf32 = before[1:]
