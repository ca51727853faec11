# SPDX-License-Identifier: Apache-2.0
"""Writing of preprocessed files with image and label as the literature has them, the same bytes on each run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sa2_monai.io.atomic import write_atomically

__all__ = ["write_h5", "write_npz"]

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a compressed ``.npz``; NumPy's own writer puts the time of the run into it.

    Args:
        path: the file; its folder is made if missing.
        arrays: arrays by name.

    Raises:
        OSError: the file cannot be written.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", _DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def write_h5(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an HDF5 file with one dataset per array, compressed by slice and without times.

    Args:
        path: the file; its folder is made if missing.
        arrays: arrays (D, H, W) by name.

    Raises:
        ImportError: h5py is missing (extra ``archives``).
        OSError: the file cannot be written.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path}: writing HDF5 needs h5py, which is not installed; pip install sa2_monai[archives]"
        ) from error
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            chunks = (1, *array.shape[1:])
            file.create_dataset(name, data=array, chunks=chunks, compression="gzip", shuffle=True, track_times=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
