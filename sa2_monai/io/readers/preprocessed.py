# SPDX-License-Identifier: Apache-2.0
"""MONAI image reader for the preprocessed files of the literature (.npz, .h5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from sa2_monai.io.preprocessed import PREPROCESSED_SUFFIXES, read_preprocessed

__all__ = ["NO_GEOMETRY", "PreprocessedReader"]

#: Entry of the metadata that is true where the affine says nothing: no millimetres can be had from such an array.
NO_GEOMETRY = "no_geometry"


class PreprocessedReader(ImageReader):
    """Reader of the ``.npz`` and ``.h5`` files of TransUNet's Synapse and the ACDC archives for ``LoadImage(d)``.

    Image and label lie in one file, so that image and label of a case are the same path, read with two readers.

    Args:
        key: ``"image"`` (stored as ``image`` or ``img``) or ``"label"``.
        as_volume: give a slice as a volume (H, W, 1).

    Raises:
        ValueError: another key.

    Example:
        >>> LoadImaged("label", reader=PreprocessedReader(key="label"), ensure_channel_first=True, image_only=True)
    """

    def __init__(self, key: str = "image", as_volume: bool = False) -> None:
        super().__init__()
        if key not in ("image", "label"):
            raise ValueError(f"key is {key!r}, expected 'image' or 'label'")
        self.key = key
        self.as_volume = as_volume

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether the file names (one or several) have a suffix of a preprocessed file.

        Args:
            filename: file name or list of file names.
        """
        return all(Path(name).name.lower().endswith(PREPROCESSED_SUFFIXES) for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> np.ndarray:
        """Read one file.

        Args:
            data: file name.
            kwargs: not used; part of MONAI's interface.

        Returns:
            Array (H, W) of a slice, or (H, W, D) of a volume (D = 1 of a slice with ``as_volume``), see
            :func:`~sa2_monai.data.read_preprocessed`.

        Raises:
            FileNotFoundError: the file is missing.
            ValueError: several files, or a file that cannot be used.
            ImportError: h5py is missing.
        """
        names = ensure_tuple(data)
        if len(names) != 1:
            raise ValueError(f"{len(names)} files for one {self.key}, expected one file; it holds all channels")
        array = read_preprocessed(names[0], self.key)
        return array[:, :, None] if self.as_volume and array.ndim == 2 else array

    def get_data(self, img: np.ndarray) -> tuple[np.ndarray, dict]:
        """Array and metadata of what :meth:`read` returned.

        Args:
            img: array (H, W) or (H, W, D).

        Returns:
            The array and a dictionary with ``spatial_shape``, ``original_channel_dim`` (none), ``affine`` (identity),
            ``space`` and ``no_geometry`` = ``True``: the affine is a stand-in, distances in millimetres mean nothing.
        """
        return img, {
            MetaKeys.SPATIAL_SHAPE: np.asarray(img.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
            MetaKeys.AFFINE: np.eye(4),
            MetaKeys.ORIGINAL_AFFINE: np.eye(4),
            MetaKeys.SPACE: SpaceKeys.RAS,
            NO_GEOMETRY: True,
        }
