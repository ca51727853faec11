# SPDX-License-Identifier: Apache-2.0
"""Batches image by image.

The widest maps of one image stay in the caches of a CPU, where those of a batch come from the main memory.
"""

from __future__ import annotations

from typing import Any

import torch

from sa2_monai.networks import daeformer, hsaunet, sa2net
from sa2_monai.networks.accelerate.tracing import is_plain_evaluation

__all__ = ["DAEFormer", "HSAUNet", "SA2Net"]


class _ImageByImage:
    """One image after the other: the same numbers with less memory."""

    def __call__(self, x: torch.Tensor) -> Any:
        """Logits of the images ``x``."""
        forward = super().__call__  # type: ignore[misc]  # of the network that this stands in front of
        if x.dim() != 4 or x.shape[0] < 2 or not is_plain_evaluation(self, x):  # type: ignore[arg-type]
            return forward(x)
        return torch.cat([forward(image) for image in x.split(1)])


class DAEFormer(_ImageByImage, daeformer.DAEFormer):
    """:class:`sa2_monai.networks.DAEFormer`."""


class HSAUNet(_ImageByImage, hsaunet.HSAUNet):
    """:class:`sa2_monai.networks.HSAUNet`."""


class SA2Net(_ImageByImage, sa2net.SA2Net):
    """:class:`sa2_monai.networks.SA2Net`."""
