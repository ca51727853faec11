# SPDX-License-Identifier: Apache-2.0
"""MONAI image reader for volumes: NIfTI, NRRD, MHA, MHD and DICOM series, checked before a voxel is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from sa2_monai.io.dicom.files import is_dicom
from sa2_monai.io.geometry import corner_distance
from sa2_monai.io.memory_order import c_ordered
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.volumes import Volume, read_volume

__all__ = ["VolumeReader"]

_SAME_GRID = 1e-3  # millimetres at a corner


class VolumeReader(ImageReader):
    """Reader of volumes for ``LoadImage(d)``, images and label maps.

    Every file is read by the library that gets its geometry right: NIfTI by nibabel, NRRD, MHA and MHD by SimpleITK, a
    DICOM series by pydicom and GDCM after a check of all positions. See :func:`~sa2_monai.data.read_volume` for what is
    refused and what is a warning.

    Args:
        channels: number of channels; more than one means a list of files on one grid, one per channel.
        label: read label maps instead of images: whole numbers only.
        series_uid: the older name of ``series``.
        series: which one, for DICOM folders with several series: SeriesInstanceUID, number, modality or part of the
            description.

    Raises:
        ValueError: for ``channels`` below 1, or a label map of several channels.

    Example:
        >>> StrictLoadImaged("image", reader=VolumeReader(), ensure_channel_first=True, image_only=True)
    """

    def __init__(self, channels: int = 1, label: bool = False, series_uid: str = "", series: str | int = "") -> None:
        super().__init__()
        if channels < 1 or (label and channels != 1):
            raise ValueError(f"channels is {channels}, expected 1 for label maps and 1 or more for images")
        self.channels = channels
        self.label = label
        self.series_uid = series_uid
        self.series = series

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether the names (one or several) are folders, DICOM, or have a suffix of a format that is read.

        Args:
            filename: file or folder name, or list of them.
        """
        return all(
            Path(n).is_dir() or str(n).lower().endswith(VOLUME_SUFFIXES) or is_dicom(n) for n in ensure_tuple(filename)
        )

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[Volume]:
        """Read one file or folder, or one per channel.

        Args:
            data: file or folder name, or list of them.
            kwargs: not used; part of MONAI's interface.

        Returns:
            One volume per channel.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: another number of files than ``channels``, or a file that cannot be used.
        """
        names = ensure_tuple(data)
        if len(names) != self.channels:
            raise ValueError(
                f"{names[0]}: {len(names)} file(s) for one image, expected {self.channels}: a list with one file per "
                "channel; the number of channels is that of the model"
            )
        return [read_volume(name, self.label, self.series_uid, self.series) for name in names]

    def get_data(self, img: list[Volume]) -> tuple[np.ndarray, dict]:
        """Array and metadata of what :meth:`read` returned.

        Args:
            img: volumes of one grid.

        Returns:
            Array (x, y, z), or (C, x, y, z) for several channels, and a dictionary with ``affine`` and
            ``original_affine`` (RAS, millimetres), ``spatial_shape``, ``original_channel_dim``, ``space`` and
            ``series_uid``.

        Raises:
            ValueError: the channels lie on different grids.
        """
        first = img[0].header
        for other in (volume.header for volume in img[1:]):
            if other.shape != first.shape:
                raise ValueError(
                    f"{other.source}: has the shape {other.shape}, {first.source} has {first.shape}; the channels of "
                    "one image must lie on one grid: resample them first"
                )
            distance = corner_distance(first.shape, first.affine, other.affine)
            if distance > _SAME_GRID:
                raise ValueError(
                    f"{other.source}: lies {distance:.3g} mm from {first.source} at a corner; the channels of one "
                    "image must lie on one grid: resample them first"
                )
        meta = {
            MetaKeys.AFFINE: first.affine.copy(),
            MetaKeys.ORIGINAL_AFFINE: first.affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.asarray(first.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: 0 if len(img) > 1 else float("nan"),
            MetaKeys.SPACE: SpaceKeys.RAS,
            "series_uid": first.series_uid,
        }
        arrays = [c_ordered(volume.array) for volume in img]
        return np.stack(arrays) if len(arrays) > 1 else arrays[0], meta
