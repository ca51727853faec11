# SPDX-License-Identifier: Apache-2.0
"""Arrays that hold many images and their masks, unpacked once into one file per image.

The published preparations of ISIC 2018 and SegPC-2021 (Awesome-U-Net) store all images of a part in one array, already
resized.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from pathlib import Path

import numpy as np

from sa2_monai.data.layouts.cases import Case
from sa2_monai.data.preparation.cache import write_png
from sa2_monai.io.arrays.npy import map_npy
from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.causes import raise_if_memory

__all__ = ["unpack_images"]

logger = logging.getLogger(__name__)

_RULE = "unpack-1"  # changes whenever other files are written
_STAMP = "unpacked.json"
_ROUNDING = 1e-3  # interpolation leaves the range by rounding


def unpack_images(
    images: Path, masks: Path, cache: Path, name: str, channels: int = 3, threshold: float | None = None
) -> list[Case]:
    """Write each image of an array as a file of its own, or take what is there from the same arrays.

    Args:
        images: ``.npy`` of (N, C, H, W) or (N, H, W, C): uint8, or floats in [0, 1] or [0, 255].
        masks: ``.npy`` of (N, H, W), (N, 1, H, W) or (N, H, W, 1).
        cache: folder for the files.
        name: first part of the names of the cases.
        channels: number C of channels.
        threshold: what is above it is foreground; ``None`` is half of the largest value (1 or 255).

    Returns:
        Cases ``<name>_0000``, ... in the order of the arrays: ``image`` is a ``.npy`` file (H, W, C), uint8 or float32
        in [0, 1]; ``label`` a PNG with 0 and 255.

    Raises:
        ValueError: no such arrays, or not as many masks as images, or of another size.
        OSError: the files cannot be written.
    """
    unpacked, labels = _images(images, channels), _masks(masks)
    number, (height, width) = len(unpacked), unpacked.shape[1:3]
    if labels.shape != (number, height, width):
        raise ValueError(
            f"{masks}: has the shape {labels.shape}, expected {(number, height, width)} as {images.name}; "
            "both must come from one run of the preparation"
        )
    sources = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in (images, masks)}
    key = hashlib.sha256(json.dumps([_RULE, threshold, str(images.resolve()), sources]).encode()).hexdigest()[:12]
    folder = cache / f"{images.stem}-{key}"
    names = [f"{name}_{index:04d}" for index in range(number)]
    cases: list[Case] = [
        {"image": str(folder / "images" / f"{n}.npy"), "label": str(folder / "labels" / f"{n}.png"), "case": n}
        for n in names
    ]
    if not (folder / _STAMP).is_file():
        logger.info("%s: %d images are unpacked to %s", images, number, folder)
        (folder / "images").mkdir(parents=True, exist_ok=True)
        scale = _scale(images, unpacked)
        if threshold is None:
            threshold = 127.5 if _highest(labels) > 1 + _ROUNDING else 0.5
        for case, image, label in zip(cases, unpacked, labels, strict=True):
            _write_npy(Path(case["image"]), _scaled(np.asarray(image), scale))
            # NaN, a mask of one value that was divided by its range, is above nothing.
            write_png(Path(case["label"]), np.where(np.asarray(label) > threshold, 255, 0).astype(np.uint8))
        write_atomically(folder / _STAMP, (json.dumps(sources, indent=1) + "\n").encode())  # the rest is complete
    return cases


def _open(path: Path) -> np.ndarray:
    try:
        array = map_npy(path)
    except (ValueError, EOFError, OSError) as error:
        raise_if_memory(error, path)
        raise ValueError(f"{path}: cannot be read as an array ({error}); copy the file again") from error
    if array.dtype.kind not in "bufi" or not array.size:
        raise ValueError(f"{path}: holds {array.dtype} of shape {array.shape}, expected numbers")
    return array


def _images(path: Path, channels: int) -> np.ndarray:
    """(N, H, W, C), memory-mapped."""
    array = _open(path)
    if array.ndim == 4 and array.shape[3] == channels:
        return array
    if array.ndim == 4 and array.shape[1] == channels:
        return array.transpose(0, 2, 3, 1)
    raise ValueError(f"{path}: has the shape {array.shape}, expected (N, {channels}, H, W) or (N, H, W, {channels})")


def _masks(path: Path) -> np.ndarray:
    """(N, H, W), memory-mapped."""
    array = _open(path)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    elif array.ndim == 4 and array.shape[3] == 1:
        array = array[:, :, :, 0]
    if array.ndim != 3:
        raise ValueError(f"{path}: has the shape {array.shape}, expected (N, H, W), (N, 1, H, W) or (N, H, W, 1)")
    return array


def _scale(path: Path, unpacked: np.ndarray) -> float:
    """What the values are divided by, from their range over all images."""
    if unpacked.dtype == np.uint8:
        return 1.0
    lowest, highest = min(float(np.min(image)) for image in unpacked), _highest(unpacked)
    if not -_ROUNDING <= lowest <= highest <= 255 + _ROUNDING:
        raise ValueError(f"{path}: has values from {lowest:g} to {highest:g}, expected [0, 1] or [0, 255]")
    return 255.0 if highest > 1 + _ROUNDING else 1.0


def _highest(arrays: np.ndarray) -> float:
    """Largest value, one image at a time: the file may be larger than the memory. NaN counts as nothing."""
    return max(float(np.max(np.nan_to_num(array, nan=0.0))) for array in arrays)


def _scaled(image: np.ndarray, scale: float) -> np.ndarray:
    return image if image.dtype == np.uint8 else np.clip(image / scale, 0.0, 1.0).astype(np.float32)


def _write_npy(path: Path, image: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(image))
    write_atomically(path, buffer.getvalue())
