# SPDX-License-Identifier: Apache-2.0
"""Matrices of resizes and weights of windows, on the device where they are used: brought there once, then kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache

import numpy as np
import torch
from monai.data.utils import compute_importance_map

__all__ = ["blending_weights", "constant_on"]


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


@lru_cache(maxsize=16)
def blending_weights(roi_size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Gaussian weights of the pixels of a window, as MONAI's sliding window makes them, for whose minimum it waits.

    Args:
        roi_size: rows and columns of the window.
        device: where they are.

    Returns:
        (rows, columns), ``float32``; nobody may write into it, all callers share it.
    """
    with torch.inference_mode(False):
        return compute_importance_map(roi_size, mode="gaussian", sigma_scale=0.125, device=device)
