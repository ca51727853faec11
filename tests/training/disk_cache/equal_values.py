# SPDX-License-Identifier: Apache-2.0
"""Are two cases the same?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor

__all__ = ["equal"]


def equal(a: Any, b: Any) -> bool:
    """Equal values of equal types, tensors bit for bit with their layout and all that MONAI knows about them."""
    if isinstance(a, MetaTensor):
        names = ("meta", "applied_operations", "pending_operations", "is_batch", "spatial_ndim")
        return (
            type(a) is type(b)
            and equal(a.as_tensor(), b.as_tensor())
            and all(equal(getattr(a, name, None), getattr(b, name, None)) for name in names)
        )
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.stride() == b.stride() and torch.equal(a.nan_to_num(), b.nan_to_num())
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return repr(a) == repr(b) or (isinstance(a, str) and a == b)
