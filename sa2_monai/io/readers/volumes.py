# SPDX-License-Identifier: Apache-2.0
"""MONAI image reader for volumes: NIfTI, NRRD, MHA, MHD and DICOM series, checked before a voxel is used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from sa2_monai.io.dicom.files import is_dicom
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.readers.stored import STORED, Step, compact, compact_labels, steps_text
from sa2_monai.io.volumes.geometry import VolumeHeader
from sa2_monai.io.volumes.lattice import fit_grid
from sa2_monai.io.volumes.memory_order import c_ordered
from sa2_monai.io.volumes.nifti import scaled
from sa2_monai.io.volumes.read import Volume, read_volume

__all__ = ["VolumeReader"]

logger = logging.getLogger(__name__)


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
        as_stored: give tensors in the type of the file, see :mod:`sa2_monai.io.readers.stored`.

    Raises:
        ValueError: for ``channels`` below 1, or a label map of several channels.

    Example:
        >>> StrictLoadImaged("image", reader=VolumeReader(), ensure_channel_first=True, image_only=True)
    """

    def __init__(
        self,
        channels: int = 1,
        label: bool = False,
        series_uid: str = "",
        series: str | int = "",
        as_stored: bool = False,
    ) -> None:
        super().__init__()
        if channels < 1 or (label and channels != 1):
            raise ValueError(f"channels is {channels}, expected 1 for label maps and 1 or more for images")
        self.channels = channels
        self.label = label
        self.series_uid = series_uid
        self.series = series
        self.as_stored = as_stored

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
        return [read_volume(name, self.label, self.series_uid, self.series, self.as_stored) for name in names]

    def get_data(self, img: list[Volume]) -> tuple[np.ndarray | torch.Tensor, dict]:
        """Array and metadata of what :meth:`read` returned.

        Args:
            img: volumes of one grid.

        Returns:
            Array (x, y, z), or (C, x, y, z) for several channels (``as_stored`` a tensor), and a dictionary with
            ``affine`` and ``original_affine`` (RAS, millimetres), ``spatial_shape``, ``original_channel_dim``,
            ``space`` and ``series_uid``.

        Raises:
            ValueError: the channels lie on different grids. Axes that are only stored in another order or direction
                than those of the first channel are turned.
        """
        first = img[0].header
        arrays = [img[0].array, *(_like(volume, first) for volume in img[1:])]
        meta = {
            MetaKeys.AFFINE: first.affine.copy(),
            MetaKeys.ORIGINAL_AFFINE: first.affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.asarray(first.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: 0 if len(img) > 1 else float("nan"),
            MetaKeys.SPACE: SpaceKeys.RAS,
            "series_uid": first.series_uid,
        }
        if self.as_stored:
            voxels, steps = (compact_labels(arrays[0]), []) if self.label else _stored(arrays, img)
            return torch.from_numpy(voxels), {**meta, STORED: steps_text(steps)}  # MONAI copies arrays of other orders
        ordered = [c_ordered(array) for array in arrays]
        return np.stack(ordered) if len(ordered) > 1 else ordered[0], meta


def _stored(arrays: list[np.ndarray], volumes: list[Volume]) -> tuple[np.ndarray, list[Step]]:
    """Channels (C, x, y, z), or the one (x, y, z), in the order of the files' memory, and what is left to do."""
    scaling = volumes[0].scaling
    if any(volume.scaling != scaling for volume in volumes):  # the channels have nothing in common but the grid
        arrays = [
            array if one.scaling is None else scaled(Path(one.header.source), array, *one.scaling)
            for array, one in zip(arrays, volumes, strict=True)
        ]
        scaling = None
    voxels = arrays[0] if len(arrays) == 1 else np.stack([array.T for array in arrays]).transpose(0, 3, 2, 1)
    voxels, steps = compact(voxels)
    return voxels, steps if scaling is None else [*steps, ("linear", *scaling)]


def _like(volume: Volume, first: VolumeHeader) -> np.ndarray:
    """Voxels of another channel on the grid of the first one."""
    header = volume.header
    fit = fit_grid(header.shape, header.affine, first.shape, first.affine)
    if not fit.shapes_agree:
        raise ValueError(
            f"{header.source}: has the shape {header.shape}, {first.source} has {first.shape}; the channels of one "
            "image must lie on one grid: resample them first"
        )
    if not fit.same:
        raise ValueError(
            f"{header.source}: lies {fit.distance:.3g} mm from {first.source} at a corner, {fit.voxels:.2g} voxels; "
            "the channels of one image must lie on one grid (within 1 % of a voxel): resample them first"
        )
    if fit.remark:
        logger.warning("%s and %s: %s", header.source, first.source, fit.remark)
    return fit.turned(volume.array)
