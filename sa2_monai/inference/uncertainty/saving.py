# SPDX-License-Identifier: Apache-2.0
"""Writers of maps of the uncertainty: one file of single precision per map, beside the label map."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from monai.config import KeysCollection

from sa2_monai.aliases import lazy_module
from sa2_monai.inference.saving import CaseSaveImaged
from sa2_monai.inference.uncertainty.maps import map_names
from sa2_monai.inference.volume_saving import VolumeSaveImaged, _Source
from sa2_monai.io.kinds import kind_of

__all__ = ["UncertaintySaveImaged", "VolumeUncertaintySaveImaged", "uncertainty_writer"]

tifffile = lazy_module("tifffile")


class _MapByMap(CaseSaveImaged):
    """One file per map, whose name is added to that of the case."""

    maps: tuple[str, ...]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the maps of ``keys`` and return the dictionary unchanged."""
        for key in self.key_iterator(dict(data)):
            for index, name in enumerate(self.maps):
                self.output_postfix = name
                super().__call__({**data, key: data[key][index : index + 1]})
        return dict(data)


class UncertaintySaveImaged(_MapByMap):
    """Write maps of images as ``<output_dir>/<case>_<map>.tif``: float32, rows and columns.

    Args:
        keys: maps (M, H, W, 1), in the order of :func:`~sa2_monai.inference.uncertainty.map_names`.
        uncertainty: which maps, a key of :data:`~sa2_monai.inference.uncertainty.UNCERTAINTIES`.
        output_dir: folder, made when the first file is written.

    Raises:
        OSError: when called, if a file cannot be written; the message names it.
        ValueError: as :class:`~sa2_monai.inference.CaseSaveImaged`.
    """

    def __init__(self, keys: KeysCollection, uncertainty: str, output_dir: str | os.PathLike[str]) -> None:
        super().__init__(keys, output_dir, reverse_indexing=False)
        self.maps = map_names(uncertainty)

    def encode(self, array: np.ndarray, stem: Path) -> tuple[str, Callable[[BinaryIO], None]]:
        """A file of one map (1, H, W); see :meth:`CaseSaveImaged.encode`."""
        plane = np.ascontiguousarray(array[0], dtype=np.float32)

        def write(file: BinaryIO) -> None:
            tifffile.imwrite(file, plane, compression="zlib")

        return ".tif", write


class VolumeUncertaintySaveImaged(_MapByMap, VolumeSaveImaged):
    """Write maps of volumes as ``<output_dir>/<case>_<map>.nii.gz``: float32, with exactly the input's geometry.

    Args:
        keys: maps (M, x, y, z) on the grid of the input; see :class:`UncertaintySaveImaged`.
        uncertainty: see there.
        output_dir: see there.

    Raises:
        OSError, ValueError: as :class:`~sa2_monai.inference.VolumeSaveImaged`.
    """

    def __init__(self, keys: KeysCollection, uncertainty: str, output_dir: str | os.PathLike[str]) -> None:
        VolumeSaveImaged.__init__(self, keys, output_dir)
        self.maps = map_names(uncertainty)

    def write(self, array: np.ndarray, stem: Path, source: _Source) -> None:
        """Write one map (1, x, y, z); see :meth:`VolumeSaveImaged.write`."""
        self.save_array(array, stem, source)


def uncertainty_writer(
    kind: str, uncertainty: str, output_dir: str | os.PathLike[str], keys: KeysCollection = "uncertainty"
) -> CaseSaveImaged:
    """Writer of maps of the uncertainty, the twin of :func:`~sa2_monai.inference.case_writer`.

    Args:
        kind: of files, ``"images"``, ``"volumes"`` or ``"preprocessed"``.
        uncertainty: which maps.
        output_dir: folder.
        keys: maps (M, H, W, 1) of 2D images, or (M, x, y, z) on the grid of the file.

    Raises:
        ValueError: another kind, or another choice of maps.
    """
    writer = UncertaintySaveImaged if kind_of(kind) == "images" else VolumeUncertaintySaveImaged
    return writer(keys, uncertainty, output_dir)
