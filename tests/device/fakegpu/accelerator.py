# SPDX-License-Identifier: Apache-2.0
"""The device ``fakegpu:0``, for the process that calls :func:`pretend`, and for as long as it lives.

What it cannot stand for: ``tensor.is_cuda`` is false; there is no cuDNN, no cuBLAS, no TF32, no stream, no NCCL, no
CUDA graph; and nothing is faster.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

__all__ = ["DEVICE", "Counts", "counted", "limited", "pretend"]

DEVICE = "fakegpu:0"
_C: Any = None


@dataclass
class Counts:
    """What happened within :func:`counted`; the keys say what, the values how often.

    Attributes:
        syncs: where the host waited for the device.
        copies: between host and device, and their ``bytes`` and ``dtypes``.
        peak: bytes of the device above what was in use before.
    """

    syncs: dict[str, int] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    dtypes: dict[str, int] = field(default_factory=dict)
    ops: dict[str, int] = field(default_factory=dict)
    peak: int = 0


@contextlib.contextmanager
def counted() -> Iterator[Counts]:
    """Count what is done within it."""
    found = Counts()
    _C.reset()
    _C.reset_peak()
    before = _C.memory()[0]
    yield found
    for name, times in _C.counts().items():
        kind, what = name.split(": ", 1)
        into = {"sync": found.syncs, "copy": found.copies, "bytes": found.bytes, "dtype": found.dtypes, "op": found.ops}
        into[kind][what] = times
    found.peak = _C.memory()[1] - before


@contextlib.contextmanager
def limited(above: int) -> Iterator[None]:
    """Within it the device has ``above`` bytes more than are in use; more raise ``torch.OutOfMemoryError``."""
    _C.limit(_C.memory()[0] + above)
    try:
        yield
    finally:
        _C.limit(0)


def pretend(folder: Path) -> None:
    """Make the device; autocast for ``"cuda"``, as MONAI opens it, is that of the device from now on.

    Args:
        folder: of the library, see :func:`~tests.device.fakegpu.library.build_library`.
    """
    global _C
    torch.utils.rename_privateuse1_backend("fakegpu")
    torch._register_device_module("fakegpu", _device_module())
    sys.path.insert(0, str(folder))
    _C = importlib.import_module("fakegpu_C")
    torch.utils.generate_methods_for_privateuse1_backend(for_tensor=True, for_module=True, for_storage=True)
    torch.set_autocast_dtype("fakegpu", torch.float16)
    torch.autocast = _Autocast  # type: ignore[misc]


def _device_module() -> types.ModuleType:
    """What torch asks a module ``torch.fakegpu`` for."""
    module: Any = types.ModuleType("torch.fakegpu")
    module.is_available = module.is_initialized = lambda: True
    module._is_in_bad_fork = lambda: False
    module._lazy_init = lambda: None
    module.device_count, module.current_device = lambda: 1, lambda: 0
    module.set_device = module.manual_seed = module.manual_seed_all = lambda *_: None
    module.get_rng_state = lambda *_: torch.get_rng_state()
    module.set_rng_state = lambda *_: None
    module.device = lambda *_: contextlib.nullcontext()
    module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
    module.synchronize = module.empty_cache = lambda *_: None
    module.mem_get_info = _mem_get_info
    module.reset_peak_memory_stats = lambda *_: _C.reset_peak()
    module.memory_allocated = module.memory_reserved = lambda *_: _C.memory()[0]
    module.max_memory_allocated = lambda *_: _C.memory()[1]
    return module


def _mem_get_info(*_: Any) -> tuple[int, int]:
    """Bytes that are free, and all; without a limit as many as a large GPU has."""
    used, _, limit = _C.memory()
    whole = limit or 80 * 2**30
    return whole - used, whole


_autocast = torch.autocast


class _Autocast(_autocast):
    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("fakegpu" if device_type == "cuda" else device_type, *args, **kwargs)
