# SPDX-License-Identifier: Apache-2.0
"""The cubic resize of the published slice networks, exactly, as matrix products.

``scipy.ndimage.zoom`` is linear and acts on one axis after the other: for ``n`` to ``m`` samples it is a matrix of
``m`` rows and ``n`` columns, and a slice becomes ``W_h @ slice @ W_w.T``. That equals SciPy to rounding, runs on any
device, and takes all slices of a batch at once. No mode of MONAI's or PyTorch's own resizing gives these values.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.config.type_definitions import NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor, ensure_tuple_rep

from sa2_monai.aliases import lazy_module
from sa2_monai.slices.constants import constant_on

__all__ = ["SplineResize", "SplineResized", "nearest_index", "resize_nearest", "resize_spline", "spline_matrix"]

ndimage = lazy_module("scipy.ndimage")

MODES = ("spline", "nearest")
BORDERS = ("mirror", "constant")


@lru_cache(maxsize=64)
def spline_matrix(n: int, m: int, border: str = "mirror") -> np.ndarray:
    """Matrix of the cubic spline zoom from ``n`` to ``m`` samples, which keeps the centres of both end samples.

    For a few pairs of sizes, 512 to 224 among them, SciPy's zoom finds the last sample one unit in the last place
    outside the signal and makes it 0. ``"constant"`` (SciPy's default) repeats that, as published results contain it;
    ``"mirror"`` gives the same matrix with a proper last row.

    Args:
        n: samples of the input, at least 1.
        m: samples of the output, at least 1.
        border: ``"mirror"`` or ``"constant"``.

    Returns:
        Read-only array (m, n), ``float64``; the result is shared by all callers.

    Raises:
        ValueError: for another border or a size below 1.
    """
    _check_pair(n, m, border)
    matrix = np.stack([ndimage.zoom(unit, m / n, order=3, mode=border) for unit in np.eye(n)], axis=1)
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=64)
def nearest_index(n: int, m: int, border: str = "mirror") -> np.ndarray:
    """Sample of the input that each sample of the output shows, as the zoom of order 0 chooses it.

    Args:
        n: samples of the input, at least 1.
        m: samples of the output, at least 1.
        border: see :func:`spline_matrix`; with ``"constant"`` an output sample outside the signal is -1 (it becomes 0).

    Returns:
        Read-only array (m,), ``int64``, values -1 to n - 1.

    Raises:
        ValueError: for another border or a size below 1.
    """
    _check_pair(n, m, border)
    # Counted from 1, so that the 0 of what lies outside can be told from the first sample.
    index = ndimage.zoom(np.arange(1, n + 1, dtype=np.float64), m / n, order=0, mode=border).astype(np.int64) - 1
    index.setflags(write=False)
    return index


def resize_spline(images: torch.Tensor, spatial_size: Sequence[int], border: str = "mirror") -> torch.Tensor:
    """Resize the last two axes with the cubic spline; values may overshoot their range a little, as published.

    Args:
        images: (..., H, W). ``float64`` is calculated and returned in ``float64``, everything else in ``float32``.
        spatial_size: rows and columns of the result.
        border: see :func:`spline_matrix`.

    Returns:
        (..., rows, columns) on the device of ``images``; an axis that has its size already is left alone.
    """
    dtype = torch.float64 if images.dtype == torch.float64 else torch.float32
    rows, columns = (None if n == m else (n, m) for n, m in zip(images.shape[-2:], spatial_size, strict=True))
    out = images.to(dtype)
    # Automatic mixed precision belongs to the network: in half precision a resize would lose grey levels.
    with torch.autocast(images.device.type, enabled=False):
        if columns:
            out = out @ constant_on(out.device, dtype, spline_matrix, *columns, border).T
        if rows:
            out = constant_on(out.device, dtype, spline_matrix, *rows, border) @ out
    return out


def resize_nearest(labels: torch.Tensor, spatial_size: Sequence[int], border: str = "mirror") -> torch.Tensor:
    """Resize the last two axes with the nearest sample, exactly as the zoom of order 0 does.

    Args:
        labels: (..., H, W), any dtype.
        spatial_size: rows and columns of the result.
        border: see :func:`spline_matrix`.

    Returns:
        (..., rows, columns) of the same dtype, on the same device.
    """
    out = labels
    for axis, m in zip((-2, -1), spatial_size, strict=True):
        n = labels.shape[axis]
        if n == m:
            continue
        out = out.index_select(axis, constant_on(out.device, torch.int64, _inside, n, m, border))
        for outside in np.flatnonzero(nearest_index(n, m, border) < 0).tolist():
            out.select(axis, outside).zero_()
    return out


class SplineResize(Transform):
    """Resize slices (C, H, W), or batches of them (B, C, H, W), as the published slice networks do.

    The last two axes are resized; images of that size already come back as they are. The affine of a ``MetaTensor``
    follows the new spacing of the last two axes for the form (C, H, W).

    Args:
        spatial_size: rows and columns of the result; one number for both.
        mode: ``"spline"`` (cubic, for images; the result is ``float64`` for ``float64``, otherwise ``float32``) or
            ``"nearest"`` (for labels; keeps the dtype).
        border: ``"mirror"``, or ``"constant"`` for the published values with their border defect, see
            :func:`spline_matrix`.

    Raises:
        ValueError: at once for arguments that are not these; when called, for an array of another number of axes.
    """

    backend = [TransformBackends.TORCH, TransformBackends.NUMPY]  # noqa: RUF012 (the form MONAI declares)

    def __init__(self, spatial_size: Sequence[int] | int, mode: str = "spline", border: str = "mirror") -> None:
        self.spatial_size = _check_size(spatial_size)
        self.mode = _check_choice("mode", mode, MODES)
        self.border = _check_choice("border", border, BORDERS)

    def __call__(self, img: NdarrayOrTensor, mode: str | None = None) -> NdarrayOrTensor:
        """Return the resized array, of the kind that was given; ``mode`` overrules the own one once."""
        mode = self.mode if mode is None else _check_choice("mode", mode, MODES)
        tensor = convert_to_tensor(img)  # a plain tensor
        if tensor.ndim not in (3, 4):
            raise ValueError(f"expected slices (C, H, W) or (B, C, H, W), got an array of shape {tuple(img.shape)}.")
        if tuple(tensor.shape[-2:]) == self.spatial_size:
            return img
        resize = resize_nearest if mode == "nearest" else resize_spline
        resized = resize(tensor, self.spatial_size, self.border)
        out: Any = convert_to_dst_type(resized, img, dtype=resized.dtype)[0]
        if isinstance(out, MetaTensor) and tensor.ndim == 3:
            # Both end samples keep their place: n - 1 steps of the old size are m - 1 of the new one.
            steps = [
                (n - 1) / (m - 1) if min(n, m) > 1 else 1.0
                for n, m in zip(tensor.shape[-2:], self.spatial_size, strict=True)
            ]
            out.affine = out.affine @ torch.diag(torch.tensor([*steps, 1.0, 1.0], dtype=out.affine.dtype))
        return out


class SplineResized(MapTransform):
    """Dictionary form of :class:`SplineResize`, for an image and its label in one step.

    Args:
        keys: slices (C, H, W) or batches of them.
        spatial_size: rows and columns of the result; one number for both.
        mode: ``"spline"`` or ``"nearest"``, one for all keys or one for each.
        border: ``"mirror"`` or ``"constant"``, see :func:`spline_matrix`.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: see :class:`SplineResize`; also for a number of modes that is not that of the keys.

    Example::

        SplineResized(["image", "label"], 224, mode=["spline", "nearest"])
    """

    backend = SplineResize.backend

    def __init__(
        self,
        keys: KeysCollection,
        spatial_size: Sequence[int] | int,
        mode: str | Sequence[str] = "spline",
        border: str = "mirror",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mode = tuple(_check_choice("mode", one, MODES) for one in ensure_tuple_rep(mode, len(self.keys)))
        self.resize = SplineResize(spatial_size, border=border)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the items of ``keys`` resized."""
        d = dict(data)
        for key, mode in self.key_iterator(d, self.mode):
            d[key] = self.resize(d[key], mode)
        return d


def _inside(n: int, m: int, border: str) -> np.ndarray:
    return nearest_index(n, m, border).clip(0)


def _check_pair(n: int, m: int, border: str) -> None:
    _check_choice("border", border, BORDERS)
    if n < 1 or m < 1:
        raise ValueError(f"cannot resize {n} samples to {m}: both must be at least 1.")


def _check_choice(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(repr(one) for one in known)}, got {value!r}.")
    return value


def _check_size(spatial_size: Sequence[int] | int) -> tuple[int, int]:
    sizes = list(spatial_size) if isinstance(spatial_size, Sequence) else [spatial_size] * 2
    if len(sizes) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in sizes):
        raise ValueError(f"spatial_size must be two whole numbers of pixels, got {spatial_size!r}.")
    return sizes[0], sizes[1]
