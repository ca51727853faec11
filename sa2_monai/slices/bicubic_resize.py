# SPDX-License-Identifier: Apache-2.0
"""The resizes of Pillow, on tensors: bicubic (SvANet) and bilinear (D-LKA's ISIC 2018) with antialiasing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type, convert_to_tensor, ensure_tuple_rep

from sa2_monai.slices.labels import source_name

__all__ = [
    "AntialiasedResized",
    "BicubicResized",
    "resize_bicubic",
    "resize_bilinear",
    "resize_image",
    "resize_nearest_exact",
]


def resize_bicubic(images: torch.Tensor, spatial_size: Sequence[int]) -> torch.Tensor:
    """Resize the last two axes of images; overshoots over [0, 1], or a wider range of the image, are clipped.

    The cubic filter (a = -0.5) widens where the image shrinks, as that of Pillow does, from which it differs by the
    rounding to 8 bits alone. MONAI's ``Resized`` smooths with a Gaussian before the resize instead.

    Args:
        images: (..., H, W). ``float64`` is calculated and returned in ``float64``, everything else in ``float32``.
        spatial_size: rows and columns of the result.

    Returns:
        (..., rows, columns) on the device of ``images``; images of that size come back with their values.
    """
    out = images.to(torch.float64 if images.dtype == torch.float64 else torch.float32)
    rows, columns = spatial_size
    if tuple(out.shape[-2:]) == (rows, columns):
        return out
    flat = out.reshape(1, -1, *out.shape[-2:])
    lowest, highest = (values[..., None, None] for values in (flat.amin((-2, -1)), flat.amax((-2, -1))))
    flat = F.interpolate(flat, size=(rows, columns), mode="bicubic", align_corners=False, antialias=True)
    flat = torch.minimum(torch.maximum(flat, lowest.clamp(max=0)), highest.clamp(min=1))
    return flat.reshape(*out.shape[:-2], rows, columns)


def resize_bilinear(images: torch.Tensor, spatial_size: Sequence[int]) -> torch.Tensor:
    """Resize the last two axes of images with the triangle filter, which widens where the image shrinks.

    As Pillow's ``BILINEAR``, from which it differs by the rounding to 8 bits alone.

    Args:
        images: (..., H, W). ``float64`` is calculated and returned in ``float64``, everything else in ``float32``.
        spatial_size: rows and columns of the result.

    Returns:
        (..., rows, columns) on the device of ``images``; images of that size come back with their values.
    """
    out = images.to(torch.float64 if images.dtype == torch.float64 else torch.float32)
    if tuple(out.shape[-2:]) == tuple(spatial_size):
        return out
    flat = out.reshape(1, -1, *out.shape[-2:])
    flat = F.interpolate(flat, size=tuple(spatial_size), mode="bilinear", align_corners=False, antialias=True)
    return flat.reshape(*out.shape[:-2], *spatial_size)


def resize_nearest_exact(labels: torch.Tensor, spatial_size: Sequence[int]) -> torch.Tensor:
    """Resize the last two axes with the pixel under the centre of the new one, as Pillow does.

    Args:
        labels: (..., H, W), any dtype.
        spatial_size: rows and columns of the result.

    Returns:
        (..., rows, columns) of the same dtype, on the same device.
    """
    out = labels
    for axis, m in zip((-2, -1), spatial_size, strict=True):
        n = out.shape[axis]
        if n != m:
            # floor((o + 1/2) n / m) in whole numbers
            out = out.index_select(axis, (2 * torch.arange(m, device=out.device) + 1) * n // (2 * m))
    return out


MODES: dict[str, Callable[[torch.Tensor, Sequence[int]], torch.Tensor]] = {
    "bicubic": resize_bicubic,
    "bilinear": resize_bilinear,
    "nearest": resize_nearest_exact,
}


def resize_image(image: Any, spatial_size: Sequence[int], mode: str) -> Any:
    """Resize an array, tensor or ``MetaTensor`` (C, H, W) in one of :data:`MODES`; metadata stay as they are."""
    tensor = convert_to_tensor(image, track_meta=False)
    if tuple(tensor.shape[-2:]) == tuple(spatial_size):
        return image
    resized = MODES[mode](tensor, spatial_size)
    return convert_to_dst_type(resized, dst=image, dtype=resized.dtype)[0]


def check_modes(mode: str | Sequence[str], number: int) -> tuple[str, ...]:
    """A mode for each of ``number`` keys.

    Raises:
        ValueError: for a mode that is none of :data:`MODES`, or another number of them.
    """
    modes: tuple[str, ...] = ensure_tuple_rep(mode, number)
    unknown = [one for one in modes if one not in MODES]
    if unknown:
        raise ValueError(f"mode must be one of {', '.join(repr(one) for one in MODES)}, got {unknown[0]!r}.")
    return modes


def image_size(image: Any, key: Hashable) -> tuple[int, int]:
    """Rows and columns of an image (C, H, W).

    Raises:
        ValueError: for an array of another number of axes, or an empty one.
    """
    if len(image.shape) != 3 or 0 in image.shape:
        raise ValueError(
            f"{key} {source_name(image, key)} has the shape {tuple(image.shape)}, expected an image (C, H, W)."
        )
    return int(image.shape[1]), int(image.shape[2])


def common_size(data: Mapping[Hashable, Any], keys: Sequence[Hashable]) -> tuple[int, int]:
    """Rows and columns that the images ``keys`` of a case have in common.

    Raises:
        ValueError: when they differ, or are no images.
    """
    size: tuple[int, int] | None = None
    for key in keys:
        found = image_size(data[key], key)
        if size is not None and found != size:
            raise ValueError(f"{key} {source_name(data[key], key)} is {found}, expected {size} as {keys[0]}.")
        size = found
    return size or (0, 0)


class AntialiasedResized(MapTransform):
    """Resize images without regard to their proportions as Pillow does: bicubic or bilinear, labels nearest.

    Bicubic is meant for images in [0, 1], over which its overshoots are clipped.

    Meant for training: it cannot be undone, and the affine of a ``MetaTensor`` stays.

    Args:
        keys: images (C, H, W).
        spatial_size: rows and columns of the result.
        mode: ``"bicubic"``, ``"bilinear"`` or ``"nearest"``, for each key or for all.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: for another mode; when called, for an array that is no image.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_size: Sequence[int],
        mode: str | Sequence[str] = "bicubic",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mode = check_modes(mode, len(self.keys))
        self.spatial_size = (int(spatial_size[0]), int(spatial_size[1]))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the images of ``keys`` resized."""
        d = dict(data)
        for key, mode in self.key_iterator(d, self.mode):
            image_size(d[key], key)
            d[key] = resize_image(d[key], self.spatial_size, mode)
        return d


#: The name that configurations of SvANet know it by.
BicubicResized = AntialiasedResized
