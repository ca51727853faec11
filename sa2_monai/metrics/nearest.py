# SPDX-License-Identifier: Apache-2.0
"""Distance from every surface point of a mask to the nearest surface point of another one.

Predictions lie near their references, so most points find their partner after a few looks around. Along one axis the
steps to the nearest surface voxel are laid down for the whole box in two sweeps; a point then looks at the columns
around its own one, nearest first, and is done when the next column is farther away than what it has found. Both are
exact: the squared distance is that of the column plus that along it. The few points that are still searching after the
nearest columns, or for which another part of the structure may be nearer, go to a k-d tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

__all__ = ["Surfaces", "nearest_distances", "nearest_distances_of_points", "surface_mask"]

_COLUMNS = 800  # looked at around a point before the k-d tree takes over
_FEW = 64  # below this many points the tree is faster than the sweeps


def surface_mask(mask: np.ndarray) -> np.ndarray:
    """Mark the pixels of a boolean mask that have a face neighbour in the background or outside the array."""
    inner = np.zeros(mask.shape, dtype=bool)
    centre = (slice(1, -1),) * mask.ndim
    inside = inner[centre]
    inside[...] = mask[centre]
    for axis in range(mask.ndim):
        for side in (slice(None, -2), slice(2, None)):
            beside = (*centre[:axis], side, *centre[axis + 1 :])
            inside &= mask[beside]
    return mask & ~inner


class Surfaces(NamedTuple):
    """The surface points of two masks in one box.

    Attributes:
        corner: first index of the box in the array, per axis.
        masks: the two surfaces as boolean boxes, 2D or 3D; fastest when the first axis has the finest spacing.
        points: their flat indices into the box.
    """

    corner: tuple[int, ...]
    masks: tuple[np.ndarray, np.ndarray]
    points: tuple[np.ndarray, np.ndarray]

    def indices(self, which: int, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Indices into the array ``(points, axes)`` of one of the surfaces, or of some of its points."""
        inside = np.unravel_index(self.points[which][chosen], self.masks[which].shape)
        return np.stack(inside, axis=1) + np.asarray(self.corner)


def nearest_distances(parts: Sequence[Surfaces], steps: np.ndarray, start: int) -> np.ndarray:
    """Compute the distance of every point of one surface to the nearest point of the other one.

    Args:
        parts: the surfaces in boxes that do not overlap; the other surface has a point in at least one.
        steps: spacing per axis of the boxes.
        start: which surface of the parts the points are taken from, 0 or 1.

    Returns:
        float64 vector, part by part, in the unit of ``steps``.
    """
    found = [_in_part(part, steps, start) for part in parts]
    goals = [part for part in parts if len(part.points[1 - start])]
    left = []
    for part, (squares, reach) in zip(parts, found, strict=True):
        unsure = np.flatnonzero(squares > reach)
        others = [goal for goal in goals if goal is not part]
        if others:
            candidates = np.flatnonzero((squares > 0) & (squares <= reach))
            index = part.indices(start, candidates)
            apart = np.min([_to_box(index, other, steps) for other in others], axis=0)
            unsure = np.union1d(unsure, candidates[squares[candidates] > apart])
        left.append(unsure)
    if any(len(unsure) for unsure in left):
        goal_index = np.concatenate([goal.indices(1 - start) for goal in goals])
        # unbalanced: surface points are spread evenly, and building is most of the work
        tree = cKDTree(goal_index * steps, balanced_tree=False, compact_nodes=False)
        for part, (squares, _), unsure in zip(parts, found, left, strict=True):
            if len(unsure):
                index = part.indices(start, unsure)
                _, nearest = tree.query(index * steps)
                # From whole index differences, so that a distance does not depend on where in the array the mask lies.
                squares[unsure] = np.square((index - goal_index[nearest]) * steps).sum(axis=1)
    return np.sqrt(np.concatenate([squares for squares, _ in found]))


def nearest_distances_of_points(points: np.ndarray, goal: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Compute the distance of every point to the nearest one of others by a tree alone.

    It is for few points in large maps, and for grids whose axes are not at right angles.

    Args:
        points: indices into an array, ``(points, axes)``.
        goal: the same for the points to find, at least one.
        axes: step along every axis of the array as a column, ``(dimensions of space, axes)``.

    Returns:
        float64 vector, in the unit of ``axes``.
    """
    # large leaves: most points lie far from a structure that is compact, and see many of its points equally far away
    tree = cKDTree(goal @ axes.T, leafsize=64, balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(points @ axes.T)
    # From whole index differences, so that a distance does not depend on where in the array the mask lies.
    return np.asarray(np.linalg.norm((points - goal[nearest]) @ axes.T, axis=1))


def _to_box(index: np.ndarray, part: Surfaces, steps: np.ndarray) -> np.ndarray:
    """Squared distances of points to the box of a part."""
    low = np.asarray(part.corner)
    high = low + np.asarray(part.masks[0].shape) - 1
    return np.asarray(np.square((np.maximum(low - index, 0) + np.maximum(index - high, 0)) * steps).sum(axis=1))


def _in_part(part: Surfaces, steps: np.ndarray, start: int) -> tuple[np.ndarray, float]:
    """Squared distances within a box, and up to which square they are sure to be right; infinity where unknown."""
    points, goal = part.points[start], part.masks[1 - start]
    squares = np.full(len(points), np.inf)
    if len(part.points[1 - start]):
        same = goal.ravel()[points]
        squares[same] = 0  # where both surfaces run together
        away = np.flatnonzero(~same)
        if len(away) >= _FEW:
            squares[away], reach = _by_columns(points[away], goal, steps)
            return squares, reach
    return squares, np.finfo(float).max


def _columns(shape: tuple[int, ...], steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Whole offsets ``(a, b)``, not negative, across the first axis, nearest first and without (0, 0).

    Returns:
        ``a``, ``b``, their squared lengths, and the squared length up to which none is left out (the largest number
        when the whole box is covered).
    """
    if shape[2] == 1:
        radius = steps[1] * _COLUMNS / 12  # in 2D a column is a pixel row; there are few points for a tree
    else:
        radius = np.sqrt(_COLUMNS / np.pi * steps[1] * steps[2])
    ends = [min(n - 1, int(radius / step)) for n, step in zip(shape[1:], steps[1:], strict=True)]
    open_ends = [
        (end + 1) * float(step) for end, n, step in zip(ends, shape[1:], steps[1:], strict=True) if end < n - 1
    ]
    reach = min(min(open_ends, default=np.inf) ** 2, np.finfo(float).max)
    a, b = (axis.ravel() for axis in np.meshgrid(*(np.arange(end + 1) for end in ends), indexing="ij"))
    squares = np.square(a * steps[1]) + np.square(b * steps[2])
    order = np.argsort(squares, kind="stable")[1:]
    order = order[squares[order] < reach]
    return a[order], b[order], squares[order], reach


def _steps_along(surface: np.ndarray, pads: tuple[int, int], far: int) -> tuple[np.ndarray, int]:
    """Steps along the first axis to the nearest surface voxel, flat, and the position of voxel (0, 0, 0) in it.

    The other two axes are padded behind only: an offset that leaves a row at its beginning arrives in the padding of
    the row before.
    """
    depth, rows, columns = surface.shape
    row = columns + pads[1]
    front = pads[0] * row + pads[1]
    flat = np.full(front + depth * (rows + pads[0]) * row, far, dtype=np.int16 if 2 * far < 2**15 else np.int32)
    steps = flat[front:].reshape(depth, rows + pads[0], row)
    steps[:, :rows, :columns][surface] = 0
    one_more = np.empty_like(steps[0])
    for here, before in [*zip(steps[1:], steps, strict=False), *zip(steps[-2::-1], steps[::-1], strict=False)]:
        np.add(before, 1, out=one_more)
        np.minimum(here, one_more, out=here)
    return flat, front


def _by_columns(points: np.ndarray, surface: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, float]:
    """Squared distances of the points, and up to which square they are sure to be right."""
    if surface.ndim == 2:
        surface, steps = surface[:, :, None], np.append(steps, 1.0)
    depth, rows, columns = surface.shape
    across, along, squares, reach = _columns(surface.shape, steps)
    pads = (int(across.max(initial=0)), int(along.max(initial=0)))
    far = depth + 1
    flat, front = _steps_along(surface, pads, far)
    square_of = np.square(np.arange(2 * far + 1) * steps[0])
    square_of[far:] = np.inf

    plane, column = np.divmod(points, columns)
    plane, line = np.divmod(plane, rows)
    row = columns + pads[1]
    index = (plane * (rows + pads[0]) + line) * row + column
    result = np.empty(len(points))
    who = np.arange(len(points))
    best = square_of[flat[front:].take(index)]
    for a, b, square in zip(across.tolist(), along.tolist(), squares.tolist(), strict=True):
        searching = best > square
        number = np.count_nonzero(searching)
        if number < 0.9 * len(who):  # moving the rest together costs as much as some looks
            result[who[~searching]] = best[~searching]
            best, who, index = best[searching], who[searching], index[searching]
            if not number:
                break
        looks = [flat[front + i * row + j :] for i in {a, -a} for j in {b, -b}]
        least = looks[0].take(index)
        for look in looks[1:]:
            np.minimum(least, look.take(index), out=least)
        np.minimum(best, square + square_of.take(least), out=best)
    result[who] = best
    return result, reach
