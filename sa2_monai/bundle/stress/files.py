# SPDX-License-Identifier: Apache-2.0
"""Images of a data list as files of worse quality, on the same grid; labels are not touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.bundle.stress import functions
from sa2_monai.bundle.stress.corruptions import CORRUPTIONS, seed_of
from sa2_monai.data import read_image
from sa2_monai.io.volumes.geometry import scan_axis
from sa2_monai.io.volumes.nifti_writer import header_from_affine
from sa2_monai.io.volumes.read import Volume, load_volume

__all__ = ["corrupt_cases", "corrupt_image", "corrupt_volume", "look_at"]

_RANGE = (0.5, 99.5)  # percentiles of a volume that are 0 and 1 for a corruption

Corrupt = Callable[[np.ndarray], np.ndarray]


def look_at(case: Mapping[str, Any], kind: str) -> tuple[int, bool]:
    """Channels of a case, and whether it has intensities below 0.

    Args:
        case: of a data list.
        kind: ``"images"`` or ``"volumes"``.

    Raises:
        OSError, ValueError: its files cannot be read.
    """
    paths = _paths(case["image"])
    if kind == "images":
        arrays = [read_image(path) for path in paths]
        return sum(array.shape[2] for array in arrays), False
    return len(paths), bool(min(load_volume(path).array.min() for path in paths) < 0)


def corrupt_cases(
    cases: Sequence[Mapping[str, Any]], kind: str, name: str, strength: int, seed: int, folder: Path
) -> list[dict[str, Any]]:
    """Write the corrupted images of all cases.

    Args:
        cases: a data list.
        kind: ``"images"`` or ``"volumes"``.
        name: of the corruption.
        strength: 1 to 5.
        seed: of the stress test.
        folder: for the files, which is there.

    Returns:
        The data list with the new images, one file for each that there was.

    Raises:
        OSError, ValueError: a file cannot be read or written.
    """
    value, function = CORRUPTIONS[name].values[strength - 1], getattr(functions, name)
    found = []
    for index, case in enumerate(cases):
        files = []
        for channel, path in enumerate(_paths(case["image"])):
            # channels in files of their own have noise of their own
            own = (seed_of(seed, name, str(case["case"])) + channel) % 2**32
            stem = folder / f"image_{index:05d}_{channel:04d}"
            files.append(_write(path, kind, stem, partial(_corrupted, function, value, own)))
        found.append({**case, "image": files if isinstance(case["image"], list) else files[0]})
    return found


def _paths(image: Any) -> list[Any]:
    return list(image) if isinstance(image, (list, tuple)) else [image]


def _corrupted(function: Callable[..., np.ndarray], value: float, seed: int, array: np.ndarray) -> np.ndarray:
    return function(array, value, seed)


def _write(path: Any, kind: str, stem: Path, corrupt: Corrupt) -> str:
    if kind == "images":
        file = stem.with_suffix(".npy")
        np.save(file, corrupt_image(read_image(path), corrupt))
        return str(file)
    import nibabel

    volume = load_volume(path)
    file = stem.with_suffix(".nii")
    header = header_from_affine(volume.array.shape, volume.header.affine)
    header.set_data_dtype(np.float32)
    nibabel.save(nibabel.Nifti1Image(corrupt_volume(volume, corrupt), None, header), file)
    return str(file)


def corrupt_image(image: np.ndarray, corrupt: Corrupt) -> np.ndarray:
    """Corrupt an image, in [0, 1] by the largest value of its type.

    Args:
        image: (H, W, C), uint8, uint16, or float in [0, 1].
        corrupt: function of a float32 array (C, H, W) in [0, 1].

    Returns:
        The image in its own type, cut to its range.
    """
    most = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    done = corrupt(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(most))
    done = done.clip(0, 1).transpose(1, 2, 0) * most
    return np.ascontiguousarray(done.round() if most > 1 else done).astype(image.dtype)


def corrupt_volume(volume: Volume, corrupt: Corrupt) -> np.ndarray:
    """Corrupt a volume, its slices as it was scanned.

    Args:
        volume: as read.
        corrupt: function of a float32 array (slices, H, W), in which the 0.5th percentile of the volume is 0 and the
            99.5th 1.

    Returns:
        float32, (x, y, z), in the unit of the volume.
    """
    array = np.asarray(volume.array, dtype=np.float32)
    axis = scan_axis(np.linalg.norm(volume.header.affine[:3, :3], axis=0))
    low, high = (np.float32(end) for end in np.percentile(array, _RANGE))
    span = high - low if high > low else np.float32(1)
    slices = np.ascontiguousarray(np.moveaxis(array, axis, 0))
    done = corrupt((slices - low) / span) * span + low
    return np.ascontiguousarray(np.moveaxis(done, 0, axis), dtype=np.float32)
