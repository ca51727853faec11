# SPDX-License-Identifier: Apache-2.0
"""Class numbers of a block: by the bundle's own inferer, which blends windows, or by tiles that it sees as images."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import sliding_window_inference

from sa2_monai.bundle.slides.model import SlideModel

__all__ = ["BlockLabels"]


class BlockLabels:
    """Predict blocks.

    A model with the view ``windows`` does with a block what it does with an image. One with the view ``whole`` sees
    tiles of a stated size as images; their probabilities are blended with the Gaussian weights of windows.

    Args:
        model: what predicts.
        scale: brings a block to the intensities of training.
        tile_size: of the view ``whole``, side of a tile in pixels; by default what the network sees without a resize.

    Attributes:
        window: rows and columns of a window or tile, in pixels of the block.
        overlap: of neighbours.
    """

    def __init__(
        self, model: SlideModel, scale: Callable[[torch.Tensor], torch.Tensor], tile_size: int | None = None
    ) -> None:
        self._network = model.network
        self._scale = scale
        self._device = next(model.network.parameters()).device
        self._amp = model.amp
        self.inferer = copy.copy(model.inferer)
        self.inferer.stretch = False  # the whole slide has been
        self.whole = self.inferer.view == "whole"
        self.window = self.inferer.roi_size
        self.overlap = self.inferer.overlap
        if self.whole:
            self.window = self.window if tile_size is None else (tile_size, tile_size)
            self.inferer.output = "probabilities"
        # Blocks have the pixel size of the model already.
        size = self.inferer.pixdim or 1.0
        self._affine = torch.diag(torch.tensor([size, size, 1.0, 1.0], dtype=torch.float64))

    def __call__(self, block: torch.Tensor) -> np.ndarray:
        """Class numbers of a block.

        Args:
            block: (C, height, width), intensities as the file has them, in [0, 1].

        Returns:
            uint8 (height, width).
        """
        scaled = torch.as_tensor(self._scale(block)).as_subclass(torch.Tensor)
        on_gpu = self._device.type == "cuda"
        with torch.no_grad(), torch.autocast(self._device.type, enabled=self._amp and on_gpu):
            if not self.whole:
                volume = MetaTensor(scaled[None, ..., None], affine=self._affine)
                return self.inferer(volume, self._network)[0, 0, :, :, 0].cpu().numpy().astype(np.uint8)
            tiles = self.inferer.batches.size
            found = sliding_window_inference(
                scaled[None], self.window, tiles, self._probabilities, overlap=self.overlap, mode="gaussian"
            )
        return _classes(found[0])

    def _probabilities(self, tiles: torch.Tensor) -> torch.Tensor:
        """Probabilities (B, K, h, w) of tiles (B, C, h, w), which are slices of one volume to the inferer."""
        volume = tiles.permute(1, 2, 3, 0)[None]
        return self.inferer(volume, self._network)[0].permute(3, 0, 1, 2)


def _classes(probabilities: torch.Tensor) -> np.ndarray:
    """As the inferer chooses: one channel is cut at 0.5, of several the first highest counts."""
    if len(probabilities) == 1:
        return (probabilities[0] >= 0.5).cpu().numpy().astype(np.uint8)
    return probabilities.argmax(dim=0).cpu().numpy().astype(np.uint8)
