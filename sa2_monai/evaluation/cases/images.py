# SPDX-License-Identifier: Apache-2.0
"""The image of a case as an array, for what is drawn of it and for its quality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.label_maps import PREPROCESSED
from sa2_monai.io.volumes.lattice import fit_grid
from sa2_monai.io.volumes.read import load_volume

__all__ = ["case_image", "case_volume"]


def case_image(source: Any) -> np.ndarray | None:
    """The image of a 2D case, ``(H, W)`` or ``(H, W, C)`` in the type of its file.

    Args:
        source: path or array, or paths of channels, of which the first counts; ``None`` where there is no image.

    Raises:
        OSError: when it cannot be opened.
        ValueError: when it cannot be read.
    """
    if source is None:
        return None
    source = _first_file(source)
    if isinstance(source, (str, Path)):
        if str(source).lower().endswith(PREPROCESSED):
            return _preprocessed(source)
        from sa2_monai.data import read_image

        return np.asarray(read_image(Path(source)))
    return np.asarray(source)


def case_volume(source: Any, shape: tuple[int, ...], affine: np.ndarray | None) -> np.ndarray | None:
    """The image of a volume on the grid of its reference; of several channels the first.

    Args:
        source: as for :func:`case_image`.
        shape: of the reference.
        affine: of the reference, or ``None``.

    Raises:
        OSError: when it cannot be opened.
        ValueError: when it cannot be read, or does not lie on the grid of the reference.
    """
    if source is None:
        return None
    source = _first_file(source)
    if not isinstance(source, (str, Path)):
        array = np.asarray(source)
    elif str(source).lower().endswith(PREPROCESSED):
        array = _preprocessed(source)
    else:
        loaded = load_volume(source)
        array = loaded.array
        if affine is not None:  # stored in another order than the reference
            array = fit_grid(array.shape, loaded.header.affine, shape, affine).turned(array)
    while array.ndim > 3:
        array = array[..., 0]
    if array.shape != shape:
        raise ValueError(
            f"{source if isinstance(source, (str, Path)) else 'image'}: has shape {array.shape}, "
            f"expected that of the reference, {shape}"
        )
    return np.asarray(array)


def _first_file(source: Any) -> Any:
    """Of channels in several files the first is shown."""
    several = isinstance(source, (list, tuple)) and source and isinstance(source[0], (str, Path))
    return source[0] if several else source


def _preprocessed(source: str | Path) -> np.ndarray:
    from sa2_monai.data import read_preprocessed

    return np.asarray(read_preprocessed(source, "image"))
