# SPDX-License-Identifier: Apache-2.0
"""The window that a network looks through: its legal sizes, and the weights of its pixels where windows overlap."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["blending_weights", "check_roi_size"]


def check_roi_size(roi_size: Sequence[int] | int, divisor: int = 16, spatial_dims: int = 2) -> tuple[int, ...]:
    """Check the size of the window (``windows``) or of the resized image (``whole``) before anything is built.

    Args:
        roi_size: pixels per spatial axis; one number stands for all axes.
        divisor: the network halves its input until this divides it; 16 for SA2-Net (specification, section 2).
        spatial_dims: number of spatial axes.

    Returns:
        The size as a tuple of ``spatial_dims`` integers.

    Raises:
        ValueError: for a size that is not a positive multiple of ``divisor``; the message gives the nearest legal size.
    """
    # A bool is an int to Python, but never a size to a person.
    sizes = [roi_size] * spatial_dims if isinstance(roi_size, int) else list(roi_size)
    if len(sizes) != spatial_dims or any(isinstance(n, bool) or not isinstance(n, int) for n in sizes):
        raise ValueError(f"roi_size must be {spatial_dims} whole numbers of pixels, got {roi_size!r}.")
    if any(n <= 0 or n % divisor for n in sizes):
        legal = [max(divisor, (n + divisor // 2) // divisor * divisor) for n in sizes]
        raise ValueError(
            f"illegal window size: roi_size is {sizes}, but each number must be a positive multiple of {divisor}. "
            f"The nearest legal size is {legal}."
        )
    return tuple(sizes)


@lru_cache(maxsize=16)
def blending_weights(roi_size: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Gaussian weights of the pixels of a window, as MONAI's sliding window makes them, which waits for their minimum.

    Args:
        roi_size: of the window.
        device: where they are.

    Returns:
        Of the size of the window, ``float32``; nobody may write into it, all callers share it.
    """
    import torch
    from monai.data.utils import compute_importance_map

    with torch.inference_mode(False):
        return compute_importance_map(roi_size, mode="gaussian", sigma_scale=0.125, device=device)
