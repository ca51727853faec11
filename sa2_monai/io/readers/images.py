# SPDX-License-Identifier: Apache-2.0
"""MONAI image reader for 2D images: one way of seeing every format, depth and colour mode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from sa2_monai.io.images.read import IMAGE_SUFFIXES, read_image, read_label
from sa2_monai.io.readers.stored import STORED, Step, compact, compact_labels, steps_text

__all__ = ["Image2DReader", "unit_range"]


class Image2DReader(ImageReader):
    """Reader of 2D images and label maps for ``LoadImage(d)``, whatever format they have (PNG, JPEG, TIFF, DICOM, ...).

    Images come as float32 scaled by the largest value that a sample of the file can have (8 bits: / 255, 12 bits:
    / 4095, 16 bits: / 65535), label maps with the values in the file (of masks in
    colour the numbers of the colours, :mod:`sa2_monai.io.label_colours`). See :func:`~sa2_monai.data.read_image` and
    :func:`~sa2_monai.data.read_label` for what happens to palettes, alpha channels and orientation tags. Several files
    of one image are put together as they are: a colour image and a grey one make four channels.

    Args:
        channels: number of channels, see :func:`~sa2_monai.data.read_image`: a single file is converted to 1 or 3, any
            other number, and that of several files together, must be what the files have. ``None`` takes what is there.
        channel_order: ``"RGB"`` or ``"BGR"``.
        label: read label maps instead of images.
        reverse_indexing: ``True`` gives (W, H[, C]) like MONAI's own readers, ``False`` (H, W[, C]).
        as_volume: give an image as a volume of one slice, (W, H, 1[, C]) or (H, W, 1[, C]).
        as_stored: keep samples of 8 and 16 bits as they are, see :mod:`sa2_monai.io.readers.stored`.

    Example:
        >>> LoadImaged("image", reader=Image2DReader(channels=3), ensure_channel_first=True, image_only=True)
    """

    def __init__(
        self,
        channels: int | None = None,
        channel_order: str = "RGB",
        label: bool = False,
        reverse_indexing: bool = True,
        as_volume: bool = False,
        as_stored: bool = False,
    ) -> None:
        super().__init__()
        if channels is not None and channels < 1:
            raise ValueError(f"channels is {channels}, expected 1 (grey), 3 (colour), another number, or None")
        if channel_order not in ("RGB", "BGR"):
            raise ValueError(f"channel_order is {channel_order!r}, expected 'RGB' or 'BGR'")
        self.channels = channels
        self.channel_order = channel_order
        self.label = label
        self.reverse_indexing = reverse_indexing
        self.as_volume = as_volume
        self.as_stored = as_stored

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether the file names (one or several) have a suffix of a format that is read.

        Args:
            filename: file name or list of file names.
        """
        return all(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[np.ndarray]:
        """Read one file, or several whose channels are put together.

        Args:
            data: file name or list of file names.
            kwargs: not used; part of MONAI's interface.

        Returns:
            Arrays (H, W, C), one per file.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file cannot be read, a float image leaves [0, 1], or the files have another number of channels
                than ``channels``.
        """
        names = ensure_tuple(data)
        arrays = [self._read_one(name, self.channels if len(names) == 1 else None) for name in names]
        total = sum(array.shape[2] for array in arrays)
        if self.channels not in (None, total) and not self.label:
            raise ValueError(
                f"{names[0]}: {len(names)} files with {total} channels in all for one image, expected {self.channels}; "
                "list the files that hold these channels, in the order of training"
            )
        return arrays

    def get_data(self, img: list[np.ndarray]) -> tuple[np.ndarray, dict]:
        """Array and metadata of what :meth:`read` returned.

        Args:
            img: arrays (H, W, C) of one size.

        Returns:
            Array (W, H) or (W, H, C) ((H, W[, C]) without ``reverse_indexing``, a third axis of length 1 with
            ``as_volume``) and a dictionary with ``spatial_shape`` (W, H, as MONAI gives it in either order),
            ``original_channel_dim``, ``affine`` (identity: images carry no geometry) and ``space``.

        Raises:
            ValueError: the images are of different size.
        """
        if len({array.shape[:2] for array in img}) > 1:
            raise ValueError(
                f"images of different size ({', '.join(str(a.shape[:2]) for a in img)} rows and columns) cannot be "
                "the channels of one image"
            )
        array, steps = self._joined(img)
        rows, columns, channels = array.shape
        if self.reverse_indexing:
            array = array.transpose(1, 0, 2)
        if self.as_volume:
            array = array[:, :, None]
        meta = {
            MetaKeys.SPATIAL_SHAPE: np.asarray((columns, rows)),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan") if channels == 1 else -1,
            MetaKeys.AFFINE: np.eye(4),
            MetaKeys.ORIGINAL_AFFINE: np.eye(4),
            MetaKeys.SPACE: SpaceKeys.RAS,
        }
        if self.as_stored:
            meta[STORED] = steps_text(steps)
        array = np.ascontiguousarray(array[..., 0] if channels == 1 else array)
        return array if array.flags.writeable else array.copy(), meta  # Pillow's own memory, which tensors do not take

    def _joined(self, img: list[np.ndarray]) -> tuple[np.ndarray, list[Step]]:
        """Channels (H, W, C), and what is left to do."""
        if self.as_stored and self.label:
            return compact_labels(img[0]), []
        steps: list[Step] = []
        if self.as_stored:
            kinds = {array.dtype for array in img}
            if len(kinds) == 1 and img[0].dtype.kind == "u":
                highest = float(np.iinfo(img[0].dtype).max)
                array, steps = compact(np.concatenate(img, axis=2) if len(img) > 1 else img[0])
                return array, [*steps, ("scale", 0.0, highest, False)]
            img = [unit_range(array, "image") for array in img]
        return np.concatenate(img, axis=2) if len(img) > 1 else img[0], steps

    def _read_one(self, name: PathLike, channels: int | None) -> np.ndarray:
        if self.label:
            return read_label(name, colours=True)[:, :, None]
        array = read_image(name, channels, self.channel_order)
        return array if self.as_stored and array.dtype.kind == "u" else unit_range(array, name)


def unit_range(array: np.ndarray, name: PathLike) -> np.ndarray:
    """Intensities as parts of the largest value that their type can have, float32.

    Args:
        array: uint8, uint16, or float32 in [0, 1].
        name: of the file, for messages.

    Raises:
        ValueError: a float image leaves [0, 1].
    """
    if array.dtype.kind == "u":
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if low < 0 or high > 1:
        raise ValueError(
            f"{name}: float image with values from {low:g} to {high:g}, expected [0, 1]; "
            "scale it, or save it with 8 or 16 bits per channel"
        )
    return array
