# SPDX-License-Identifier: Apache-2.0
"""Legal sizes of the window that a network looks through."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["check_roi_size"]


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
