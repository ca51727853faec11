# SPDX-License-Identifier: Apache-2.0
"""Random size and random crop of images, as SvANet was trained: pixels from outside have no label."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from monai.utils import convert_to_dst_type, convert_to_tensor, ensure_tuple_rep

from sa2_monai.slices.bicubic_resize import check_modes, common_size, resize_image

__all__ = ["RandPadCropd", "RandShortSideResized"]


class RandShortSideResized(Randomizable, MapTransform):
    """Resize images so that their short side has a random length; their proportions stay.

    Not invertible: meant for training.

    Args:
        keys: images (C, H, W) of one size; images have values in [0, 1].
        short_side: least and largest length of the short side, in pixels; all between are equally likely.
        max_side: the long side gets no longer than this, in pixels.
        mode: ``"bicubic"`` (antialiased) or ``"nearest"``, for each key or for all.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: arguments out of range; when called, images of different sizes.
    """

    def __init__(
        self,
        keys: KeysCollection,
        short_side: tuple[int, int] = (256, 768),
        max_side: int = 1024,
        mode: str | Sequence[str] = "bicubic",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if not 1 <= short_side[0] <= short_side[1]:
            raise ValueError(f"short_side is {tuple(short_side)}, expected the least (1 or more) and largest length.")
        if max_side < short_side[0]:
            raise ValueError(f"max_side is {max_side}, expected at least the least short side {short_side[0]}.")
        self.short_side = (int(short_side[0]), int(short_side[1]))
        self.max_side = int(max_side)
        self.mode = check_modes(mode, len(self.keys))

    def randomize(self, data: tuple[int, int]) -> tuple[int, int]:  # type: ignore[override]
        """Draw the size (rows, columns) for images of the size ``data``."""
        short, long = min(data), max(data)
        wanted = int(self.R.randint(self.short_side[0], self.short_side[1] + 1))
        # scale = min(wanted / short, max_side / long), kept as a fraction: the truncation sees no rounding errors
        up, down = (wanted, short) if wanted * long <= self.max_side * short else (self.max_side, long)
        return max(data[0] * up // down, 1), max(data[1] * up // down, 1)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the images of ``keys`` resized."""
        d = dict(data)
        size = self.randomize(common_size(d, list(self.key_iterator(d))))
        for key, mode in self.key_iterator(d, self.mode):
            d[key] = resize_image(d[key], size, mode)
        return d


class RandPadCropd(Randomizable, MapTransform):
    """Cut a random part of a fixed size out of images; a side that is too short is padded first.

    As published for SvANet, *both* ends of a short side get as many pixels as are missing in all, so that the part can
    lie anywhere from one end of the image to the other.

    Not invertible: meant for training.

    Args:
        keys: images (C, H, W) of one size.
        roi_size: rows and columns of the part.
        fill: value of the padding, for each key or for all; published: white in the image (1.0 for values in [0, 1]),
            255 in the label, which the loss leaves out.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: for a size below 1; when called, images of different sizes.
    """

    def __init__(
        self,
        keys: KeysCollection,
        roi_size: Sequence[int],
        fill: float | Sequence[float] = (1.0, 255),
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if len(roi_size) != 2 or min(roi_size) < 1:
            raise ValueError(f"roi_size is {list(roi_size)}, expected rows and columns, at least 1 each.")
        self.roi_size = (int(roi_size[0]), int(roi_size[1]))
        self.fill = ensure_tuple_rep(fill, len(self.keys))

    def randomize(self, data: tuple[int, int]) -> tuple[int, int]:  # type: ignore[override]
        """Draw the first row and column in images that have the (padded) size ``data``."""
        top, left = (int(self.R.randint(0, n - m + 1)) for n, m in zip(data, self.roi_size, strict=True))
        return top, left

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the same part of all images of ``keys``."""
        d = dict(data)
        size = common_size(d, list(self.key_iterator(d)))
        rows, columns = (max(m - n, 0) for n, m in zip(size, self.roi_size, strict=True))
        top, left = self.randomize((size[0] + 2 * rows, size[1] + 2 * columns))
        for key, fill in self.key_iterator(d, self.fill):
            image = convert_to_tensor(d[key], track_meta=False)
            image = F.pad(image, (columns, columns, rows, rows), value=fill)
            part = image[:, top : top + self.roi_size[0], left : left + self.roi_size[1]].clone()
            d[key] = convert_to_dst_type(part, dst=d[key], dtype=part.dtype)[0]
        return d
