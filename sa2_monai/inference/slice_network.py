# SPDX-License-Identifier: Apache-2.0
"""A network for slices, with its answers looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from sa2_monai.networks.precision import autocast

__all__ = ["SliceNetwork"]


class SliceNetwork:
    """Call a network with slices and check that the answer is one tensor of logits of their size.

    Args:
        network: takes images (B, C, H, W), returns logits (B, K, H, W).
        args: further arguments of the network.
        kwargs: further named arguments of the network.
        sigmoid: the network has one output channel; otherwise it has several.
        name: of the volume, for messages.
        temperature: by which the logits are divided, see :mod:`sa2_monai.metrics.calibration`.
        precision: in which the network calculates, see :func:`~sa2_monai.networks.precision.autocast`.
    """

    def __init__(
        self,
        network: Callable[..., torch.Tensor],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        sigmoid: bool,
        name: str,
        temperature: float = 1.0,
        precision: str | None = None,
    ) -> None:
        self.network = network
        self.args = args
        self.kwargs = kwargs
        self.sigmoid = sigmoid
        self.name = name
        self.temperature = temperature
        self.precision = precision

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of images (B, C, H, W), ``float32`` also where the network runs in half precision.

        Raises:
            ValueError: for another number of channels than the network takes, or an answer of another form.
        """
        # For epistemic scoring MONAI Label puts it into training mode, where some normalise over two images at least.
        single = len(images) == 1 and getattr(self.network, "training", False)
        try:
            with autocast(self.precision, images.device):
                logits = self.network(torch.cat([images, images]) if single else images, *self.args, **self.kwargs)
        except RuntimeError as error:
            if "channels" not in str(error):  # the words of torch's convolutions
                raise
            raise ValueError(
                f"{self.name}: the network does not take images of {images.shape[1]} channels ({error}). Give the "
                "volume the number of channels that the bundle's in_channels says."
            ) from error
        if not isinstance(logits, torch.Tensor):
            raise ValueError(
                f"the network returned a {type(logits).__name__}, expected one tensor of logits. Call network.eval(): "
                "in training mode, deep supervision returns several."
            )
        if single:
            logits = logits[:1]
        if logits.ndim != 4 or len(logits) != len(images) or logits.shape[2:] != images.shape[2:]:
            raise ValueError(
                f"the network returned the shape {tuple(logits.shape)} for slices {tuple(images.shape)}, expected "
                f"logits ({len(images)}, K, {images.shape[2]}, {images.shape[3]})."
            )
        if (logits.shape[1] == 1) != self.sigmoid:
            raise ValueError(
                f"the network has {logits.shape[1]} output channels, but sigmoid is {self.sigmoid}: one channel needs "
                "sigmoid: true, several need sigmoid: false."
            )
        # not divided by 1: the same memory, and the same bits as ever
        return logits.float() if self.temperature == 1.0 else logits.float() / self.temperature
