# SPDX-License-Identifier: Apache-2.0
"""What a runtime is given, what it gives back, and how it refuses."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

__all__ = ["Built", "Job", "Run", "Runtime", "RuntimeRefusedError", "need_packages", "only_on_cpu"]

#: Takes images (B, C, H, W) of the stated size on the stated device, returns logits (B, K, H, W), ``float32``.
Run = Callable[[torch.Tensor], torch.Tensor]


class RuntimeRefusedError(RuntimeError):
    """A runtime that cannot be used, whatever the case: it ends a run, where a bad case does not."""


@dataclass(frozen=True)
class Job:
    """A network for a runtime.

    Attributes:
        network: in evaluation mode.
        example: images (B, C, H, W), the only size and number that it will be called with.
        precision: ``"fp32"``, ``"bf16"``, ``"fp16"`` or ``"auto"``, what the runtime takes by itself.
        renew: what lies in the cache is not to be trusted, and made again.
    """

    network: nn.Module
    example: torch.Tensor
    precision: str
    renew: bool = False


class Built(NamedTuple):
    """What a runtime makes of a network.

    Attributes:
        run: calculates it.
        cached: comes from a file in the cache, not from the network itself.
    """

    run: Run
    cached: bool = False


class Runtime(NamedTuple):
    """One runtime.

    Attributes:
        packages: that it needs.
        check: raises :class:`RuntimeRefusedError` for a device and a precision that it does not have.
        build: makes a network ready.
    """

    packages: Sequence[str]
    check: Callable[[torch.device, str], None]
    build: Callable[[Job], Built]


def need_packages(purpose: str, packages: Sequence[str], extra: str) -> None:
    """Look for packages.

    Args:
        purpose: who needs them, the beginning of the message.
        packages: their names in Python.
        extra: of this package, which installs them.

    Raises:
        ImportError: naming those that are missing.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"{purpose} needs {', '.join(missing)}: pip install 'sa2_monai[{extra}]'")


def only_on_cpu(runtime: str, device: torch.device) -> None:
    """Refuse other devices than CPUs.

    Raises:
        RuntimeRefusedError: on any other.
    """
    if device.type != "cpu":
        raise RuntimeRefusedError(
            f"runtime {runtime} runs on CPUs, and the device is {device}: use --device cpu, or the runtimes eager, "
            "compile or tensorrt."
        )
