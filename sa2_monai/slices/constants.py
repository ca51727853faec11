# SPDX-License-Identifier: Apache-2.0
"""Matrices and indices of resizes, on the device where they are used: made and brought there once, then kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache

import numpy as np
import torch

__all__ = ["constant_on"]


@lru_cache(maxsize=64)
def constant_on(
    device: torch.device, dtype: torch.dtype, make: Callable[..., np.ndarray], *arguments: Hashable
) -> torch.Tensor:
    """The array that ``make(*arguments)`` returns, as a tensor; nobody may write into it, all callers share it.

    Args:
        device: where it is.
        dtype: its dtype.
        make: makes the array.
        arguments: of ``make``.
    """
    # One that is made within inference mode could not take part in a training later.
    with torch.inference_mode(False):
        return torch.tensor(make(*arguments), dtype=dtype, device=device)
