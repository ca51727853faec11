# SPDX-License-Identifier: Apache-2.0
"""Argument checks that every network's constructor makes."""

from __future__ import annotations

__all__ = ["check_constructor"]


def check_constructor(name: str, spatial_dims: int, dropout: float, **positive: int) -> None:
    """Raise one clear error for an argument that no network of this package can work with.

    Args:
        name: class name for the message.
        spatial_dims: must be 2.
        dropout: must lie in [0, 1).
        positive: further arguments, each of which must be an integer of at least 1.

    Raises:
        ValueError: naming the argument, what was found and what is expected.
    """
    if spatial_dims != 2:
        raise ValueError(
            f"{name}: spatial_dims must be 2, got {spatial_dims}; volumes are cut into slices "
            "(monai.inferers.SliceInferer) before a 2D network sees them."
        )
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"{name}: dropout must lie in [0, 1), got {dropout}.")
    for argument, value in positive.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: {argument} must be a positive integer, got {value!r}.")
