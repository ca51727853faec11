# SPDX-License-Identifier: Apache-2.0
"""On a CPU nothing is copied and nothing is free; what happens on accelerators is told by tests/device."""

from __future__ import annotations

import torch

from sa2_monai.slices.transfer import free_memory, to_device, waits

CPU = torch.device("cpu")


def test_a_cpu_copies_nothing() -> None:
    stored = torch.arange(6, dtype=torch.int16).reshape(2, 3)
    assert to_device(stored, CPU) is stored
    turned = to_device(stored.T, CPU)
    assert turned.is_contiguous()
    assert torch.equal(turned, stored.T)
    assert free_memory(CPU) is None
    assert not waits(CPU)
    assert waits(torch.device("cuda:0"))
