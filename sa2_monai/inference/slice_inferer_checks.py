# SPDX-License-Identifier: Apache-2.0
"""Checks of what the volume inferer is given, before any work is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.utils import ImageMetaKey

from sa2_monai.inference.slice_batches import AUTO
from sa2_monai.slices.slice_view import VIEWS
from sa2_monai.slices.views import RESIZES

__all__ = ["check_members", "check_options", "check_temperature", "check_uncertainty", "check_volume", "pixel_spacing"]
__all__ += ["volume_name"]

ORIENTATIONS = ("slices", "all")
OUTPUTS = ("labels", "probabilities", "grid")


def check_options(
    view: str,
    slice_batch_size: int | str,
    normalize: Sequence[float] | None,
    overlap: float,
    pixdim: float | None,
    orientations: str,
    output: str,
    resize: str,
    stretch: bool = False,
) -> None:
    """Check the options of :class:`~sa2_monai.inference.VolumeInferer`, one by one and against each other.

    Raises:
        ValueError: for a value that is not known or out of range, and for options that the view does not have.
    """
    for name, value, known in (
        ("view", view, VIEWS),
        ("orientations", orientations, ORIENTATIONS),
        ("output", output, OUTPUTS),
        ("resize", resize, tuple(RESIZES)),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(repr(one) for one in known)}, got {value!r}.")
    whole = isinstance(slice_batch_size, int) and not isinstance(slice_batch_size, bool)
    if slice_batch_size != AUTO and not (whole and slice_batch_size >= 1):  # type: ignore[operator]  # no text here
        raise ValueError(
            f"slice_batch_size must be a whole number of at least 1 or {AUTO!r}, got {slice_batch_size!r}."
        )
    if normalize is not None and (len(normalize) != 2 or not normalize[1] > 0):
        raise ValueError(f"normalize must be a mean and a standard deviation above 0, got {normalize!r}.")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and below 1, got {overlap!r}.")
    if pixdim is not None and not (pixdim > 0 and math.isfinite(pixdim)):
        raise ValueError(f"pixdim must be a pixel size in mm above 0, or null, got {pixdim!r}.")
    if view != "windows" and (pixdim is not None or orientations != "slices"):
        raise ValueError(
            f"pixdim and orientations: all belong to the view 'windows', but view is {view!r}: its slices are resized "
            "to roi_size. Leave them out, or choose view: windows."
        )
    if view == "windows" and stretch:
        raise ValueError(
            "stretch (intensity: minmax_resized) is for slices that are resized as a whole, but view is 'windows'. "
            "Choose view: whole, or intensity: minmax."
        )
    if view == "windows" and output == "grid":
        raise ValueError("output 'grid' is for slices that are resized as a whole, but view is 'windows'.")
    if view == "paper" and output == "probabilities":
        raise ValueError("the view 'paper' has label maps only: its probabilities never leave the network's grid.")


def check_uncertainty(maps: Sequence[str], view: str, output: str, dropout_samples: int) -> None:
    """Check what is asked for of the uncertainty.

    Args:
        maps: names of the maps.
        view: of the inferer.
        output: of the inferer.
        dropout_samples: number of thinned networks.

    Raises:
        ValueError: for a number that cannot be, or maps where probabilities never leave the network's grid.
    """
    if isinstance(dropout_samples, bool) or not isinstance(dropout_samples, int) or dropout_samples < 0:
        raise ValueError(f"dropout_samples must be a whole number from 0, got {dropout_samples!r}.")
    if maps and (view == "paper" or output == "grid"):
        raise ValueError(
            "uncertainty has no maps in the view 'paper' and on the grid of published scores, whose probabilities "
            "never leave the network's grid. Choose view: whole, or set uncertainty to null."
        )


def check_temperature(temperature: float | None) -> None:
    """Check what logits are divided by.

    Raises:
        ValueError: it is no number above 0.
    """
    if temperature is None:
        return
    if isinstance(temperature, bool) or not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature must be a number above 0, or null, got {temperature!r}.")


def check_members(maps: Sequence[str], members: int) -> None:
    """Check that there is something that can vary.

    Args:
        maps: names of the maps.
        members: number of probabilities for each voxel.

    Raises:
        ValueError: a variance of one member.
    """
    if "variance" in maps and members < 2:
        raise ValueError(
            "uncertainty asks for the variance over the members of a prediction, but there is only one: add tta "
            "(--tta), dropout_samples (--dropout-samples 10), the networks of an ensemble or, for windows, "
            "orientations: all (--all-axes), or ask for entropy."
        )


def volume_name(inputs: Any) -> str:
    """File that a volume was read from, for messages; ``"the volume"`` when the metadata do not know it."""
    name = inputs.meta.get(ImageMetaKey.FILENAME_OR_OBJ) if isinstance(inputs, MetaTensor) else None
    if isinstance(name, (list, tuple)) and name:  # collated
        name = name[0]
    return str(name) if name else "the volume"


def check_volume(inputs: Any) -> None:
    """Check that an input is one volume with batch and channel axes.

    Raises:
        ValueError: for anything else; the message says what it looks like and what to do.
    """
    if not isinstance(inputs, torch.Tensor):
        raise ValueError(f"expected a volume as a tensor (1, C, X, Y, Z), got {type(inputs).__name__}.")
    shape = tuple(inputs.shape)
    start = f"{volume_name(inputs)}: expected a volume (1, C, X, Y, Z), got the shape {shape}"
    if inputs.ndim == 4:
        raise ValueError(
            f"{start}: a 2D image, or a volume without batch axis. Use a window inferer for images; add the missing "
            "axis to a volume (volume[None])."
        )
    if inputs.ndim == 6:
        raise ValueError(f"{start}: more than three spatial axes. Split a 4D image into volumes, one per time point.")
    if inputs.ndim != 5:
        raise ValueError(f"{start}.")
    if shape[0] != 1:
        raise ValueError(f"{start}: {shape[0]} volumes. Give them one by one (batch size 1).")
    if 0 in shape:
        raise ValueError(f"{start}: there are no voxels.")
    if inputs.is_complex():
        raise ValueError(f"{volume_name(inputs)}: expected real intensities, got {inputs.dtype}.")


def pixel_spacing(inputs: torch.Tensor) -> tuple[float, float, float]:
    """Millimetres per voxel along the three axes, from the affine.

    Args:
        inputs: volume (1, C, X, Y, Z).

    Raises:
        ValueError: for a tensor without affine, or one whose columns are not lengths above 0.
    """
    if not isinstance(inputs, MetaTensor):
        raise ValueError(
            "pixdim needs the spacing of the volume, but the input is a tensor without affine. Give a MetaTensor, as "
            "MONAI's readers do, or set pixdim to null."
        )
    affine = inputs.affine.reshape(-1, *inputs.affine.shape[-2:])[0].to("cpu", torch.float64)  # collated: (1, 4, 4)
    x, y, z = affine[:3, :3].square().sum(dim=0).sqrt().tolist()
    if not all(length > 0 and math.isfinite(length) for length in (x, y, z)):
        raise ValueError(
            f"{volume_name(inputs)}: the affine gives a voxel of {x:g} x {y:g} x {z:g} mm. Repair the file."
        )
    return x, y, z
