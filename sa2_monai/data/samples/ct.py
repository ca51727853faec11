# SPDX-License-Identifier: Apache-2.0
"""Synthetic abdominal CT: a body of bent ellipsoids in millimetres, cut by slices of any spacing and tilt.

Four organs are labelled: liver, spleen and two kidneys. They lie where they lie in a body, so that the kidneys are told
apart by their side alone, touch each other (the right kidney the liver, the left one the spleen), and share their
contrast with each other and with things that are not labelled: stomach, bowel, vessels, muscles. Position, size and
contrast vary from case to case, one deformation bends everything together, voxels on a surface show a mixture, and
there is noise.

Random numbers come from ``numpy.random.RandomState`` only, whose streams are frozen; voxels are rounded to HU last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter

__all__ = ["ORGANS", "VolumeGrid", "draw_grid", "paint_volume"]

#: Labelled organs; the label is the place in the list, 0 is background.
ORGANS = ("background", "liver", "spleen", "left kidney", "right kidney")

_FIELD = (200.0, 184.0, 124.0)  # mm to the left, back and head that a volume of the least size shows

# Middle and half axes in mm, axes of the body L (left), P (back), S (head); tilt in degrees about the P axis.
_SHAPES = {
    "body": ((0, 0, 0), (84, 64, 900), 0),
    "muscle": ((0, 0, 0), (77, 57, 900), 0),
    "cavity": ((0, -3, 0), (70, 48, 900), 0),
    "psoas left": ((19, 38, -20), (9, 12, 70), 8),
    "psoas right": ((-19, 38, -20), (9, 12, 70), -8),
    "spine": ((0, 42, 0), (15, 14, 900), 0),
    "aorta": ((6, 20, 0), (8, 8, 900), 3),
    "vena cava": ((-12, 19, 0), (9, 8, 900), 0),
    "stomach": ((24, -24, 22), (24, 21, 27), 25),
    "liver": ((-38, -4, 16), (35, 40, 38), -8),
    "left lobe": ((-6, -26, 24), (32, 18, 19), 12),
    "spleen": ((54, 16, 20), (16, 28, 29), -15),
    "left kidney": ((36, 28, -14), (17, 18, 33), -10),
    "right kidney": ((-36, 31, -22), (17, 18, 33), 10),
}
# CT number and its spread between cases, in HU.
_LEVELS = {
    "body": (-100, 8), "muscle": (58, 6), "cavity": (-95, 10), "psoas": (60, 6), "spine": (210, 35),
    "vessel": (150, 25), "stomach": (55, 30), "bowel": (45, 30), "liver": (100, 10), "spleen": (114, 12),
    "kidney": (165, 22),
}  # fmt: skip


@dataclass(frozen=True)
class VolumeGrid:
    """Where the voxels of a volume lie.

    Attributes:
        shape: voxels along L, P, S, or what is nearest to them.
        spacing: mm.
        rotation: (3, 3), directions of the three axes in the body's L, P, S, as columns.
        centre: middle of the volume in the body's L, P, S, in mm.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    rotation: np.ndarray
    centre: tuple[float, float, float]

    @property
    def affine(self) -> np.ndarray:
        """(4, 4), voxel to millimetres, RAS."""
        affine = np.eye(4)
        affine[:3, :3] = self.rotation * self.spacing
        affine[:3, 3] = self.centre - affine[:3, :3] @ ((np.array(self.shape) - 1) / 2)
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coordinates L, P, S of all voxels in mm, each of ``shape``."""
        steps = [
            (np.arange(n) - (n - 1) / 2).reshape([-1 if i == axis else 1 for i in range(3)]) * self.spacing[axis]
            for axis, n in enumerate(self.shape)
        ]
        points = [sum(self.rotation[i, axis] * steps[axis] for axis in range(3)) + self.centre[i] for i in range(3)]
        return points[0], points[1], points[2]


def draw_grid(size: tuple[int, int, int], rng: RandomState, oblique: bool) -> VolumeGrid:
    """Draw the grid of a volume.

    Args:
        size: least number of voxels (L, P, S); there may be a sixth more to the left and a third more slices.
        rng: source of all random numbers.
        oblique: tilt the slices by up to 12 degrees about a random axis.
    """
    wider = size[0] + int(rng.randint(0, 3)) * (size[0] // 12)
    slices = size[2] + int(rng.randint(0, size[2] // 3 + 1))
    pixel = round(float(rng.uniform(0.95, 1.08)) * max(_FIELD[0] / size[0], _FIELD[1] / size[1]), 3)
    thickness = round(float(rng.uniform(0.97, 1.1)) * _FIELD[2] / slices, 3)
    axis = rng.standard_normal(3)
    angle = rng.uniform(3, 12) if oblique else 0.0
    left, back, head = (round(float(offset), 2) for offset in rng.uniform((-4, -4, 2), (4, 4, 10)))
    return VolumeGrid((wider, size[1], slices), (pixel, pixel, thickness), _rotation(axis, angle), (left, back, head))


def paint_volume(grid: VolumeGrid, rng: RandomState, missing: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Paint one volume.

    Args:
        grid: the voxels.
        rng: source of all random numbers.
        missing: an organ that this body does not have.

    Returns:
        Image int16 in HU, -1024 to 3071, and label uint8, indices of :data:`ORGANS`; both (L, P, S).
    """
    points = _bend(grid.points(), rng)
    size = rng.uniform(0.93, 1.05)
    levels = {name: round(mean + spread * float(rng.standard_normal()), 1) for name, (mean, spread) in _LEVELS.items()}
    radii = {name: _radius(name, points, size, rng) for name in _SHAPES}
    radii["liver"] = np.minimum(radii["liver"], radii.pop("left lobe"))
    texture = 6 * gaussian_filter(rng.standard_normal(grid.shape), (2, 2, 1), mode="reflect") * 10

    image = np.full(grid.shape, -1000.0)
    label = np.zeros(grid.shape, dtype=np.uint8)
    for name in ("body", "muscle", "cavity", "psoas left", "psoas right"):
        _cover(image, radii[name], levels[name.split()[0]])
    bone = _cover(image, radii["spine"], levels["spine"] + 180.0)
    image -= 180 * bone * (radii["spine"] < 0.75)  # marrow
    for name in ("aorta", "vena cava"):
        _cover(image, radii[name], levels["vessel"] - 25 * (name != "aorta"))
    for _ in range(int(rng.randint(4, 8))):
        loop = _ellipsoid(points, rng.uniform((-48, -34, -62), (48, 6, -22)), rng.uniform(8, 15, 3), rng.uniform(0, 90))
        _cover(image, loop, levels["bowel"] + 15 * rng.standard_normal())
        _cover(image, loop / rng.uniform(0.2, 0.6), -700.0)  # gas
    _cover(image, radii["stomach"], levels["stomach"])
    for name in ORGANS[1:]:  # each cuts into those before it: they touch, and none covers another
        if name != missing:
            _cover(image, radii[name], levels[name.split()[-1]])
            label[radii[name] < 1] = ORGANS.index(name)
            if "kidney" in name:
                _cover(image, radii[name] / 0.6, levels["kidney"] - 30)  # medulla
    image += texture * (label > 0)
    noise = rng.uniform(12, 24) * gaussian_filter(rng.standard_normal(grid.shape), (0.5, 0.5, 0), mode="reflect")
    return np.rint((image + 1.6 * noise).clip(-1024, 3071)).astype(np.int16), label


def _rotation(axis: np.ndarray, degrees: float) -> np.ndarray:
    """Rotation about an axis; rounded, so that the last bits of sine and cosine do not matter."""
    x, y, z = axis / np.sqrt((axis * axis).sum())
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(degrees)
    return np.round(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross), 9)


def _bend(points: tuple[np.ndarray, ...], rng: RandomState) -> tuple[np.ndarray, ...]:
    """Move the points by slow waves of a few millimetres: the anatomy of this body."""
    moved = []
    for own in points:
        shift = np.zeros(own.shape)
        for _ in range(2):
            direction = rng.standard_normal(3)
            direction /= np.sqrt((direction * direction).sum())
            phase = rng.uniform(0, 2 * math.pi)
            wave = 2 * math.pi / rng.uniform(70, 160)
            along = sum(d * p for d, p in zip(direction, points, strict=True))
            shift += rng.uniform(0.8, 2.6) * np.sin(wave * along + phase)
        moved.append(own + shift)
    return tuple(moved)


def _radius(name: str, points: tuple[np.ndarray, ...], size: float, rng: RandomState) -> np.ndarray:
    middle, axes, tilt = _SHAPES[name]
    outer = name in ("body", "muscle", "cavity")  # these keep their order
    own_middle = np.array(middle) + (0 if outer else 2.5) * rng.standard_normal(3).clip(-2, 2)
    own_axes = np.array(axes) * (1 if outer else rng.uniform(0.9, 1.12, 3))
    own_tilt = tilt + (0 if outer else 5 * rng.standard_normal())
    return _ellipsoid(points, size * own_middle, size * own_axes, own_tilt)


def _ellipsoid(points: tuple[np.ndarray, ...], middle: np.ndarray, axes: np.ndarray, tilt: float) -> np.ndarray:
    """Relative distance from the middle: 1 on the surface, less inside."""
    cos, sin = round(math.cos(math.radians(tilt)), 6), round(math.sin(math.radians(tilt)), 6)
    x, y, z = (p - m for p, m in zip(points, middle, strict=True))
    u, v, w = (x * cos + z * sin) / axes[0], y / axes[1], (z * cos - x * sin) / axes[2]
    return np.sqrt(u * u + v * v + w * w)


def _cover(image: np.ndarray, radius: np.ndarray, level: float) -> np.ndarray:
    """Lay a shape over the image, in place; a voxel on its surface takes the share that the shape fills of it.

    Returns:
        The shares, 0 to 1. The surface is taken as flat within a voxel.
    """
    steepness = sum(np.abs(slope) for slope in np.gradient(radius))
    share = ((1 - radius) / np.maximum(steepness, 1e-6) + 0.5).clip(0, 1)
    image += share * (level - image)
    return share
