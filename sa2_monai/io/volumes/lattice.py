# SPDX-License-Identifier: Apache-2.0
"""Whether two volumes lie on one grid, also when their axes are stored in another order or direction.

Two grids are one when no corner voxel lies further than 1 % of a voxel from its counterpart: what rounding in headers
does, ITK's own round trips included. Anything above a thousandth of a voxel is worth a remark. Axes stored in another
order or direction (flips, permutations) are turned, voxel for voxel; nothing is ever resampled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sa2_monai.io.volumes.geometry import corner_distance

__all__ = ["TOLERANCE", "Fit", "fit_grid", "relative_turn", "voxel_distance"]

#: Largest distance of two grids that count as one, in voxels.
TOLERANCE = 0.01
# Up to here the difference is that of single precision, and not worth a word.
_EXACT = 1e-3


def voxel_distance(shape: Sequence[int], first: np.ndarray, second: np.ndarray) -> float:
    """Largest distance between the corner voxels of one grid under two affines, in voxels along an axis.

    Args:
        shape: number of voxels (x, y, z).
        first: (4, 4).
        second: (4, 4); its voxels are the measure.
    """
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    apart = (first - second)[:3, :3] @ corners + (first - second)[:3, 3:]
    return float(np.abs(np.linalg.solve(second[:3, :3], apart)).max())


def relative_turn(affine: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    """How the axes of a volume have to be turned to be stored like those of another one.

    Args:
        affine: (4, 4), of the volume.
        like: (4, 4), of the other one.

    Returns:
        nibabel's array of orientations (3, 2), or ``None`` where the axes of the two are not parallel.
    """
    from nibabel.orientations import io_orientation

    relative = np.linalg.inv(like) @ affine
    whole = np.rint(relative[:3, :3])
    rows, columns = np.abs(whole).sum(axis=0), np.abs(whole).sum(axis=1)
    if not ((rows == 1).all() and (columns == 1).all()) or np.abs(relative[:3, :3] - whole).max() > TOLERANCE:
        return None
    return np.asarray(io_orientation(relative))


@dataclass(frozen=True)
class Fit:
    """A grid beside another one, after its axes were brought into the other's order.

    Attributes:
        turn: nibabel's array of orientations (3, 2), or ``None`` where the axes are stored alike or are not parallel.
        shape: number of voxels after the turn.
        affine: (4, 4), after the turn.
        shapes_agree: whether the other grid has this shape, too.
        distance: largest distance of a corner voxel from its counterpart, in millimetres.
        voxels: the same in voxels of the other grid.
    """

    turn: np.ndarray | None
    shape: tuple[int, int, int]
    affine: np.ndarray
    shapes_agree: bool
    distance: float
    voxels: float

    @property
    def same(self) -> bool:
        """Whether the two are one grid."""
        return self.shapes_agree and self.voxels <= TOLERANCE

    @property
    def remark(self) -> str:
        """What is to be said of two grids that are one but for rounding; else an empty text."""
        if not self.same or self.voxels <= _EXACT:
            return ""
        return f"the grids are {self.voxels:.1%} of a voxel ({self.distance:.2g} mm) apart and are taken as one"

    def turned(self, array: np.ndarray) -> np.ndarray:
        """Array of this grid in the order of the other one; a view.

        Args:
            array: (x, y, z) as stored.
        """
        if self.turn is None:
            return array
        from nibabel.orientations import apply_orientation

        return np.asarray(apply_orientation(array, self.turn))


def fit_grid(shape: Sequence[int], affine: np.ndarray, like_shape: Sequence[int], like: np.ndarray) -> Fit:
    """Compare a grid with another one.

    Args:
        shape: number of voxels (x, y, z) as stored.
        affine: (4, 4), checked.
        like_shape: number of voxels of the other grid.
        like: (4, 4) of the other grid, checked.
    """
    from nibabel.orientations import inv_ornt_aff

    turn = relative_turn(affine, like)
    if turn is not None and np.array_equal(turn, [[0, 1], [1, 1], [2, 1]]):
        turn = None
    x, y, z = shape
    if turn is not None:
        affine = affine @ inv_ornt_aff(turn, (x, y, z))
        x, y, z = (int(shape[int(axis)]) for axis in np.argsort(turn[:, 0]))
    return Fit(
        turn=turn,
        shape=(x, y, z),
        affine=affine,
        shapes_agree=(x, y, z) == tuple(like_shape),
        distance=corner_distance((x, y, z), affine, like),
        voxels=voxel_distance((x, y, z), affine, like),
    )
