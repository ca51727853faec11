# SPDX-License-Identifier: Apache-2.0
"""Checks that every network makes: of the arguments of its constructor, and of its input."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["check_constructor", "check_divides", "check_input", "check_widths"]


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


def check_widths(name: str, argument: str, values: Sequence[int], length: int) -> tuple[int, ...]:
    """The values of an argument that has one positive integer per stage.

    Args:
        name: class name for the message.
        argument: its name.
        values: what was given.
        length: number of stages.

    Raises:
        ValueError: naming the argument, what was found and what is expected.
    """
    found = tuple(values) if isinstance(values, (list, tuple)) else ()
    if len(found) != length or any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in found):
        raise ValueError(f"{name}: {argument} must be {length} positive integers, got {values!r}.")
    return found


def check_divides(name: str, argument: str, value: int, width: int, what: str = "the width") -> None:
    """Refuse a number of heads that does not divide a width.

    Raises:
        ValueError: naming the argument, what was found and what is expected.
    """
    if width % value != 0:
        raise ValueError(f"{name}: {argument} must divide {what} {width}, got {value}.")


def check_input(
    x: torch.Tensor,
    name: str,
    in_channels: int,
    divisor: int,
    grey_too: bool = False,
    only_size: tuple[int, int] = (0, 0),
) -> None:
    """Refuse an input that a network cannot take.

    TorchScript compiles it, so that scripted networks refuse it, too; traced ones cannot.

    Args:
        x: what shall be ``(B, in_channels, H, W)``, H and W positive multiples of ``divisor``.
        name: class name for the message.
        in_channels: channels of the network.
        divisor: of height and width.
        grey_too: a network for three channels takes one as well.
        only_size: height and width that the network is bound to; (0, 0) for none.

    Raises:
        ValueError: naming the shape, what is expected and the hint.
    """
    if torch.jit.is_tracing():  # a trace holds no conditions
        return
    shape = list(x.shape)
    if len(shape) != 4 or (shape[1] != in_channels and not (grey_too and shape[1] == 1 and in_channels == 3)):
        raise ValueError(f"{name} expects an input of shape (B, {in_channels}, H, W), got {shape}.")
    if shape[2] % divisor != 0 or shape[3] % divisor != 0 or shape[2] == 0 or shape[3] == 0:
        raise ValueError(
            f"{name}: height and width must be positive multiples of {divisor}, got {shape[2]} x {shape[3]}; "
            "resize or pad the image, or use a sliding window of a legal size."
        )
    if only_size[0] > 0 and (shape[2] != only_size[0] or shape[3] != only_size[1]):
        raise ValueError(
            f"{name}: height and width must be {only_size[0]} x {only_size[1]} (img_size), got {shape[2]} x "
            f"{shape[3]}; resize the image, use a sliding window of that size, or build with img_size=None."
        )
