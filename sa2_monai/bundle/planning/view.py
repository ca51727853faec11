# SPDX-License-Identifier: Apache-2.0
"""How the network sees a slice: whole or in windows, in which size."""

from __future__ import annotations

import math

from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.plan import Choice

__all__ = ["overlap", "pixdim", "roi_size", "slice_axis", "view"]

# Side of what the network sees, in pixels.
_CPU_IMAGES, _CPU_SLICES, _GPU, _GPU_WINDOWS = 128, (64, 96, 128), 224, 256
# Pixels that a structure must be thick behind the resize, so that it is not lost.
_THICK_IMAGES, _THICK_SLICES = 8.0, 3.0
_THICK_ENOUGH = 6.0  # on a slice that is seen whole, more resolution is not worth its time
# Windows of 128 pixels of ten fundus images: of 49 validation windows two overflow after 40 to 60 steps, with rates
# from 5e-4 to 2e-3, with and without clipping. The same images seen whole do not. 48 images in windows were in order.
_SVANET_FEW = 48
_THICK_WINDOWS = 16.0  # structures that are thicker than this in windows are seen at a coarser pixel


def slice_axis(draft: Draft) -> Choice | None:
    """Of volumes: the plane that they were taken in."""
    geometry = draft.fingerprint.geometry
    if draft.fingerprint.kind != "volumes" or geometry.spacing is None:
        return None
    if geometry.slice_axis == "acquisition":
        return Choice("acquisition", f"stacks stand at {geometry.oblique:.0f} degrees or in different planes")
    if geometry.anisotropy < 1.5:
        return Choice(geometry.slice_axis, f"voxels are nearly cubes, {geometry.anisotropy:.2g} to 1: the usual plane")
    return Choice(
        geometry.slice_axis,
        f"{100 * geometry.stacks:.0f} % of the cases were taken in this plane, voxels {geometry.anisotropy:.2g} times "
        "longer across it",
    )


def view(draft: Draft) -> Choice:
    """Whole where the structures survive the resize, else windows."""
    number = draft.fingerprint.counts.slices
    if draft.name == "svanet" and draft.fingerprint.kind == "images" and number < _SVANET_FEW:
        return Choice("whole", f"as published: windows of so few images ({number}) make its attention overflow")
    side = max(_whole_side(draft))
    size = max(draft.fingerprint.geometry.size)
    thickness = draft.thickness * min(1.0, side / size)
    wanted = _THICK_IMAGES if draft.fingerprint.kind == "images" else _THICK_SLICES
    told = f"structures are {draft.thickness:.2g} pixels thick, {thickness:.2g} when {size:.0f} pixels become {side}"
    if size > side and thickness < wanted:
        return Choice("windows", f"{told}: too thin for that")
    return Choice("whole", f"{told}: they survive, and the network sees everything around them")


def roi_size(draft: Draft) -> Choice:
    """Rows and columns that the network sees."""
    if draft["view"] == "windows":
        side = _legal(draft, _CPU_IMAGES if draft.on_cpu else _GPU_WINDOWS)
        return Choice([side, side], f"windows of {_times(side, draft.thickness)} the structures' thickness")
    rows, columns = _whole_side(draft)
    size = draft.fingerprint.geometry.size
    why = "of a few minutes on a CPU" if draft.on_cpu else "as published"
    return Choice(
        [rows, columns], f"the size {why}, multiples of {_divisor(draft)}; slices are {size[0]:.0f} x {size[1]:.0f}"
    )


def pixdim(draft: Draft) -> Choice | None:
    """Of windows: a coarser pixel where structures are much thicker than a network needs."""
    if draft["view"] != "windows":
        return None
    factor = math.floor(draft.thickness / _THICK_WINDOWS)
    if factor < 2:
        return Choice(None, f"as it is: structures are {draft.thickness:.2g} pixels thick")
    spacing = draft.fingerprint.geometry.spacing
    pixel = 1.0 if spacing is None else spacing[0]
    return Choice(
        float(f"{factor * pixel:.3g}"), f"structures are {draft.thickness:.2g} pixels thick: {factor} in one will do"
    )


def overlap(draft: Draft) -> Choice | None:
    """Of neighbouring windows."""
    if draft["view"] != "windows":
        return None
    return Choice(0.25, "a quarter: half of the windows' time of 0.5")


def _whole_side(draft: Draft) -> tuple[int, int]:
    """Rows and columns of a slice that is seen whole."""
    size = max(draft.fingerprint.geometry.size)
    if not draft.on_cpu:
        side = draft.network.published_size[0] if draft.fingerprint.kind == "images" else _GPU
    elif draft.fingerprint.kind == "images":
        side = _CPU_IMAGES
    else:
        enough = [side for side in _CPU_SLICES if draft.thickness * side / size >= _THICK_ENOUGH]
        covered = [side for side in _CPU_SLICES if side >= size]
        side = min([*enough, *covered], default=_CPU_SLICES[-1])
    side = _legal(draft, side)
    return side, side


def _divisor(draft: Draft) -> int:
    if draft.name == "hsaunet":  # of its windows; 112 is that of the published ones of 7
        return 16 * int(draft["window_size"])
    return draft.network.size_divisor


def _legal(draft: Draft, side: int) -> int:
    divisor = _divisor(draft)
    return divisor * max(1, math.floor(side / divisor + 0.5))


def _times(side: int, thickness: float) -> str:
    return f"{side / max(thickness, 1.0):.0f} times"
