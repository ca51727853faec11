# SPDX-License-Identifier: Apache-2.0
"""Random warps measured in shares of the side; MONAI's own ask for pixels, and slices come in many sizes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_tensor, ensure_tuple_rep

from sa2_monai.slices.labels import source_name

__all__ = ["RandPiecewiseAffined", "RandRotateFilld", "RandShiftd", "RandTwoShearsd"]


class _RandWarpd(RandomizableTransform, MapTransform):
    """Sample several images at the same moved points. Not invertible: meant for training.

    Args:
        keys: images (C, H, W) of one size.
        prob: probability of a warp.
        mode: ``"bilinear"`` or ``"nearest"``, for each key or for all. Labels need ``"nearest"``.
        allow_missing_keys: do not complain about absent keys.
        fill: value outside of the image, for each key or for all.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float,
        mode: str | Sequence[str],
        allow_missing_keys: bool = False,
        fill: float | Sequence[float] = 0.0,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.mode = ensure_tuple_rep(mode, len(self.keys))
        self.fill = ensure_tuple_rep(fill, len(self.keys))
        unknown = sorted(set(self.mode) - {"bilinear", "nearest"})
        if unknown:
            raise ValueError(f"mode has {unknown[0]!r}, expected 'bilinear' or 'nearest'.")

    def draw_points(self, size: tuple[int, int]) -> np.ndarray:
        """Draw where to look.

        Args:
            size: (H, W).

        Returns:
            (2, r, c) with r, c >= 2: rows and columns, -1 .. 1 from the first to the last pixel, at the points of a
            grid that spans the image and is interpolated linearly.
        """
        raise NotImplementedError

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the warped images; float32, or the dtype that came in where it is integer."""
        d = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return d
        size: tuple[int, int] | None = None
        for key, mode, fill in self.key_iterator(d, self.mode, self.fill):
            image = convert_to_tensor(d[key], track_meta=False)
            if size is None:
                size = _size(d[key], key)
                points = torch.as_tensor(self.draw_points(size), dtype=torch.float32)[None]
                grid = torch.nn.functional.interpolate(points, size, mode="bilinear", align_corners=True)
                grid = grid.flip(1).permute(0, 2, 3, 1)  # torch wants columns first
            elif _size(d[key], key) != size:
                raise ValueError(f"{key} {source_name(d[key], key)} is {_size(d[key], key)}, expected {size}.")
            # torch knows 0 outside: the fill is made 0 and put back.
            above = image[None].float() - fill
            warped = torch.nn.functional.grid_sample(
                above, grid.to(image.device), mode=mode, padding_mode="zeros", align_corners=True
            )[0]
            warped += fill
            warped = warped if image.is_floating_point() else warped.to(image.dtype)
            d[key] = convert_to_dst_type(warped, dst=d[key], dtype=warped.dtype)[0]
        return d


class RandPiecewiseAffined(_RandWarpd):
    """Move the points of a coarse grid at random; between them the image is stretched linearly.

    As imgaug's ``PiecewiseAffine``, whose cells are triangles: each point is moved by a normal draw whose standard
    deviation is a random share of the side, never beyond the border.

    Args:
        keys: images (C, H, W) of one size.
        prob: probability of a warp.
        scale: least and largest share of the side, drawn once for an image.
        points: least and largest number of grid points along a side, at least 2; drawn for each side.
        mode: ``"bilinear"`` or ``"nearest"``, for each key or for all.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: arguments out of range; when called, images of different sizes.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.1,
        scale: tuple[float, float] = (0.008, 0.03),
        points: tuple[int, int] = (2, 4),
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, mode, allow_missing_keys)
        if not 0 <= scale[0] <= scale[1]:
            raise ValueError(f"scale is {tuple(scale)}, expected the least and the largest share of the side.")
        if not 2 <= points[0] <= points[1]:
            raise ValueError(f"points is {tuple(points)}, expected the least (2 or more) and the largest number.")
        self.scale = scale
        self.number = points

    def draw_points(self, size: tuple[int, int]) -> np.ndarray:
        """Points of the grid, moved."""
        rows, columns = self.R.randint(self.number[0], self.number[1] + 1, 2)
        scale = self.R.uniform(*self.scale)
        still = np.stack(np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij"))
        return (still + 2 * scale * self.R.standard_normal(still.shape)).clip(-1, 1)


class RandShiftd(_RandWarpd):
    """Shift images by a random share of their sides.

    Args:
        keys: images (C, H, W) of one size.
        prob: probability of a shift.
        fraction: largest share of each side, up or down and left or right, in [0, 1]; drawn for each side.
        mode: ``"bilinear"`` or ``"nearest"``, for each key or for all.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: arguments out of range; when called, images of different sizes.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.1,
        fraction: float = 0.2,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, mode, allow_missing_keys)
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction is {fraction}, expected a share of the side from 0 to 1.")
        self.fraction = fraction

    def draw_points(self, size: tuple[int, int]) -> np.ndarray:
        """Corners of the image, shifted."""
        shift = self.R.uniform(-self.fraction, self.fraction, 2)
        steps = [2 * part * length / max(length - 1, 1) for part, length in zip(shift, size, strict=True)]
        corners = np.stack(np.meshgrid([-1.0, 1.0], [-1.0, 1.0], indexing="ij"))
        return corners + np.array(steps)[:, None, None]


class RandRotateFilld(_RandWarpd):
    """Rotate images about their centre by a random angle; their size stays.

    MONAI's ``RandRotated`` has 0 outside of the image, which for a label is a class.

    Args:
        keys: images (C, H, W) of one size.
        prob: probability of a rotation.
        degrees: largest angle, either way, in [0, 180].
        mode: ``"bilinear"`` or ``"nearest"``, for each key or for all.
        fill: value outside of the image, for each key or for all; 255 in a label that the loss shall leave out there.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: arguments out of range; when called, images of different sizes.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 1.0,
        degrees: float = 10.0,
        mode: str | Sequence[str] = "bilinear",
        fill: float | Sequence[float] = 0.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, mode, allow_missing_keys, fill)
        if not 0 <= degrees <= 180:
            raise ValueError(f"degrees is {degrees}, expected an angle from 0 to 180.")
        self.degrees = degrees

    def draw_points(self, size: tuple[int, int]) -> np.ndarray:
        """Corners of the image, rotated."""
        angle = np.deg2rad(self.R.uniform(-self.degrees, self.degrees))
        c, s = np.cos(angle), np.sin(angle)
        return _linear_points(size, np.array([[c, -s], [s, c]]))


class RandTwoShearsd(_RandWarpd):
    """Shear images along both axes by one random angle, as imgaug 0.4.0's ``Affine(shear=(-16, 16))`` does.

    It puts two transforms of scikit-image together that turn one axis by the angle and keep its length, the second
    along the columns, the first along the rows. The result is nearly a rotation: by 16.3 degrees for 16, with lengths
    of 92 to 100 %.

    Args:
        keys: images (C, H, W) of one size.
        prob: probability of a shear.
        degrees: largest angle, either way, in [0, 45].
        mode: ``"bilinear"`` or ``"nearest"``, for each key or for all.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: arguments out of range; when called, images of different sizes.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 1.0,
        degrees: float = 16.0,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob, mode, allow_missing_keys)
        if not 0 <= degrees <= 45:
            raise ValueError(f"degrees is {degrees}, expected an angle from 0 to 45.")
        self.degrees = degrees

    def draw_points(self, size: tuple[int, int]) -> np.ndarray:
        """Corners of the image, where they come from."""
        angle = np.deg2rad(self.R.uniform(-self.degrees, self.degrees))
        c, s = np.cos(angle), np.sin(angle)
        along_rows = np.array([[1, s], [0, c]])  # of (row, column)
        along_columns = np.array([[c, 0], [-s, 1]])
        return _linear_points(size, np.linalg.inv(along_columns @ along_rows))


def _linear_points(size: tuple[int, int], matrix: np.ndarray) -> np.ndarray:
    """Where the corners of an image are looked up: a linear map of (row, column), in pixels from its centre."""
    reach = np.maximum(np.array(size) - 1, 1)[:, None, None] / 2  # of the outer pixels' centres, in pixels
    corners = reach * np.stack(np.meshgrid([-1.0, 1.0], [-1.0, 1.0], indexing="ij"))
    return np.einsum("ab,bij->aij", matrix, corners) / reach


def _size(image: Any, key: Hashable) -> tuple[int, int]:
    if len(image.shape) != 3:
        raise ValueError(
            f"{key} {source_name(image, key)} has the shape {tuple(image.shape)}, expected an image (C, H, W)."
        )
    return int(image.shape[1]), int(image.shape[2])
