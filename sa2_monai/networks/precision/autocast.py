# SPDX-License-Identifier: Apache-2.0
"""The region in which a network is called."""

from __future__ import annotations

import contextlib

import torch

__all__ = ["DTYPES", "autocast"]

#: Numbers by the names of precisions, ``auto`` aside.
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: str | None, device: torch.device | str) -> contextlib.AbstractContextManager[object]:
    """Automatic mixed precision around a call.

    Args:
        precision: name in :data:`DTYPES`, as :func:`~sa2_monai.networks.precision.choose_precision` returns it;
            ``None`` leaves things as the caller has them.
        device: where the network runs.
    """
    if precision is None:
        return contextlib.nullcontext()
    kind = torch.device(device).type
    if precision == "fp32":  # also where the caller has opened a region
        return torch.autocast(kind, enabled=False)
    return torch.autocast(kind, dtype=DTYPES[precision])
