# SPDX-License-Identifier: Apache-2.0
"""Small files that are slides, each with what it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

RGB = np.random.default_rng(0).integers(0, 256, (150, 230, 3), dtype=np.uint8)
PLANES = np.random.default_rng(1).integers(0, 65536, (2, 150, 230), dtype=np.uint16)


def write_levels(path: Path, images: list[np.ndarray], **options: Any) -> Path:
    """One page per level, the smaller ones marked as reduced, as libvips and OpenSlide's generic TIFF have them."""
    settings = {"tile": (64, 64), "compression": "zlib", "photometric": "rgb", "metadata": None, **options}
    with tifffile.TiffWriter(path) as writer:
        for level, image in enumerate(images):
            writer.write(image, subfiletype=1 if level else 0, **settings)
    return path


def write_ome(path: Path, image: np.ndarray, axes: str, small: np.ndarray, **metadata: Any) -> Path:
    """Levels in SubIFDs, as Bio-Formats writes them."""
    options = {"tile": (64, 64), "compression": "zlib", "photometric": "rgb" if axes == "YXS" else "minisblack"}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(image, subifds=1, metadata={"axes": axes, **metadata}, **options)
        writer.write(small, subfiletype=1, **options)
    return path


def _one(**options: Any) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        tifffile.imwrite(path, RGB, photometric="rgb", metadata=None, **options)
        return path

    return write


#: Name, how it is written, the array (H, W, C) of level 0, number of levels.
FILES: list[tuple[str, Callable[[Path], Path], np.ndarray, int]] = [
    ("reduced pages", lambda path: write_levels(path, [RGB, RGB[::2, ::2], RGB[::4, ::4]]), RGB, 3),
    ("SubIFDs", lambda path: write_ome(path, RGB, "YXS", RGB[::2, ::2]), RGB, 2),
    ("planes", lambda path: write_ome(path, PLANES, "CYX", PLANES[:, ::2, ::2]), np.moveaxis(PLANES, 0, 2), 2),
    ("tiles", _one(tile=(32, 48), compression="lzma"), RGB, 1),
    ("strips", _one(rowsperstrip=7, compression="zlib"), RGB, 1),
    ("one strip", _one(rowsperstrip=150), RGB, 1),
    ("big endian", _one(rowsperstrip=150, byteorder=">"), RGB, 1),
]
