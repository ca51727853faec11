# SPDX-License-Identifier: Apache-2.0
"""The pretended accelerator itself: it complains and counts where a GPU would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.device.fakegpu.accelerator import DEVICE, Counts, counted, limited
from tests.device.fakegpu.process import Call

MIXED: dict[str, Callable[[torch.Tensor, torch.Tensor], Any]] = {
    "sum": lambda here, there: here + there,
    "product": lambda here, there: here @ there,
    "convolution": lambda here, there: torch.nn.functional.conv2d(there[None, None], here[None, None]),
    "concatenation": lambda here, there: torch.cat([here, there]),
    "in place": lambda here, there: there.mul_(here),
}


@pytest.mark.parametrize("name", MIXED)
def test_devices_do_not_mix(on_accelerator: Call, name: str) -> None:
    assert "same device" in on_accelerator(_mix, name)


def _mix(name: str) -> str:
    try:
        MIXED[name](torch.ones(3, 3), torch.ones(3, 3, device=DEVICE))
    except RuntimeError as error:
        return str(error)
    return "nothing was raised"


WAITS: dict[str, tuple[Callable[[torch.Tensor], Any], int]] = {
    "arithmetic": (lambda there: (there * 2 + 1).softmax(0).argmax(), 0),
    "a number": (lambda there: there.sum().item(), 1),
    "a condition": (lambda there: bool((there > 0).all()), 1),
    "positions": (lambda there: there.nonzero(), 1),
    "a mask": (lambda there: there[there > 0], 1),
    "a copy to the host": (lambda there: there.cpu(), 1),
    "a copy from the host": (lambda there: torch.ones(3).to(there.device), 1),
    "the same, not waited for, but from ordinary memory": (
        lambda there: torch.ones(3).to(there.device, non_blocking=True),
        1,
    ),
    "the same from pinned memory": (
        lambda there: torch.ones(3).pin_memory().to(there.device, non_blocking=True),
        0,
    ),
}


@pytest.mark.parametrize("name", WAITS)
def test_waiting_is_counted(on_accelerator: Call, name: str) -> None:
    found = on_accelerator(_waits, name)
    assert sum(found.syncs.values()) == WAITS[name][1]


def _waits(name: str) -> Counts:
    there = torch.ones(3, 3, device=DEVICE)
    with counted() as found:
        WAITS[name][0](there)
    return found


def test_copies_memory_and_precision(on_accelerator: Call) -> None:
    assert on_accelerator(_facts) == {
        "copies": {"host to device": 1, "device to host": 1},
        "bytes": {"host to device": 2000, "device to host": 4000},
        "dtypes": {"host to device Short": 1, "device to host Float": 1},
        "values": True,
        "peak": 2000 + 4000,
        "out of memory": "OutOfMemoryError",
        "autocast": ["torch.float16", "torch.float32", "torch.bfloat16"],
    }


def _facts() -> dict[str, Any]:
    slices = torch.arange(1000, dtype=torch.int16)
    with counted() as found:
        back = slices.to(DEVICE).float().cpu()
    weights = torch.ones(4, 4, device=DEVICE)
    with torch.autocast("cuda"):  # as MONAI writes it
        half, single = weights @ weights, weights.softmax(0)
    with torch.autocast("fakegpu", torch.bfloat16):
        bfloat = weights @ weights
    try:
        with limited(1000):
            torch.empty(1001, dtype=torch.uint8, device=DEVICE)
        raised = "nothing"
    except torch.OutOfMemoryError as error:
        raised = type(error).__name__
    return {
        "copies": found.copies,
        "bytes": found.bytes,
        "dtypes": found.dtypes,
        "values": torch.equal(back, slices.float()),
        "peak": found.peak,
        "out of memory": raised,
        "autocast": [str(one.dtype) for one in (half, single, bfloat)],
    }
