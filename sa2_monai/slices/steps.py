# SPDX-License-Identifier: Apache-2.0
"""The steps between a file and a network, one name each; the lists that a bundle makes of them stand in its configs.

Each returns one transform of MONAI or of this package, chosen by the switches ``kind``, ``intensity``, ... A step that
does nothing for a kind of files is an ``Identityd``: the list of steps is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import (
    Identityd,
    Invertd,
    MapTransform,
    ScaleIntensityd,
    ScaleIntensityRanged,
    ScaleIntensityRangePercentilesd,
)

from sa2_monai.io.kinds import kind_of
from sa2_monai.io.readers import case_reader
from sa2_monai.slices.intensity import MEASURES, ScaleSliceMaximumd, ScaleWhenCutd
from sa2_monai.slices.labels import CheckSameSized, MapLabelsd
from sa2_monai.slices.loading import StrictLoadImaged
from sa2_monai.slices.orientation import SliceOrientationd

__all__ = [
    "INTENSITIES",
    "check_size",
    "load_image",
    "load_label",
    "map_labels",
    "orient_slices",
    "restore_orientation",
    "scale_intensity",
]

#: What ``intensity`` may be: the ways of :func:`scale_intensity`, those without any work to do included.
INTENSITIES = ("window", "percentiles", "minmax", "minmax_resized", "slice_maximum", "range", "none")


def load_image(
    kind: str,
    channels: int = 1,
    channel_order: str = "RGB",
    as_volume: bool = False,
    channel_first: bool = True,
    series: str | int = "",
    key: Hashable = "image",
    as_stored: bool = False,
) -> StrictLoadImaged:
    """Load an image file.

    Args:
        kind: of files, ``"images"``, ``"volumes"`` or ``"preprocessed"``.
        channels: of the image, see :func:`~sa2_monai.data.case_reader`.
        channel_order: of 2D images, ``"RGB"`` or ``"BGR"``.
        as_volume: a 2D image becomes a volume of one slice.
        channel_first: give (C, ...); ``False`` where ``EnsureChannelFirstd`` is a step of its own.
        series: of a DICOM folder with several.
        key: entry with the file name.
        as_stored: keep the voxels in the type of the file, 8 or 16 bits as a rule, where the values allow it; what
            makes intensities of them stands in the metadata, and the inferer does it with the slices that it cuts (see
            :class:`~sa2_monai.slices.StoredVolume`). :func:`scale_intensity` knows such images, and
            :func:`orient_slices` turns them, and their predictions back, in their own memory. For inference; of
            preprocessed files it changes nothing.

    Returns:
        Transform that gives a ``MetaTensor`` (C, x, y, z), of 2D images (C, H, W) or (C, H, W, 1); ``float32`` unless
        they are kept as stored.

    Raises:
        ValueError: another kind or order.
    """
    reader = case_reader(kind, False, channels, channel_order, as_volume, series=series, as_stored=as_stored)
    return StrictLoadImaged(key, reader, ensure_channel_first=channel_first, image_only=True, **_dtype(kind, as_stored))


def load_label(
    kind: str, as_volume: bool = False, key: Hashable = "label", as_stored: bool = False
) -> StrictLoadImaged:
    """Load the file of a label map, with the values that it has.

    Args:
        kind: of files, see :func:`load_image`.
        as_volume: the label of a 2D image becomes a volume of one slice.
        key: entry with the file name.
        as_stored: whole numbers of 8 or 16 bits where they suffice, see :func:`load_image`.

    Returns:
        Transform that gives a ``MetaTensor`` (1, x, y, z), of 2D images (1, H, W) or (1, H, W, 1); ``float32`` unless
        they are kept as stored.

    Raises:
        ValueError: another kind.
    """
    reader = case_reader(kind, label=True, as_volume=as_volume, as_stored=as_stored)
    return StrictLoadImaged(key, reader, ensure_channel_first=True, image_only=True, **_dtype(kind, as_stored))


def _dtype(kind: str, as_stored: bool) -> dict[str, Any]:
    return {"dtype": None} if as_stored and kind_of(kind) != "preprocessed" else {}


def map_labels(
    class_names: Sequence[str],
    label_values: Mapping[int | str, int] | str | None = None,
    ignore_value: int | None = None,
    key: Hashable = "label",
) -> MapLabelsd:
    """From the values in a label file to class numbers; see :class:`~sa2_monai.slices.MapLabelsd`.

    A table is for the files of the data set: cases of :func:`~sa2_monai.data.load_datalist` have a name, ``case``.
    Others, such as those of MONAI Label, hold class numbers already.

    Args:
        class_names: names of all classes, background first.
        label_values: which value means which class.
        ignore_value: value of pixels without a label.
        key: entry with the label map.
    """
    return MapLabelsd(key, len(class_names), label_values, ignore_value=ignore_value, table_key="case")


def orient_slices(kind: str, slice_axis: str = "axial", keys: KeysCollection = ("image", "label")) -> MapTransform:
    """Turn volumes so that their slices lie along the last axis; 2D images and archives are that way already.

    Args:
        kind: of files, see :func:`load_image`.
        slice_axis: ``"axial"``, ``"coronal"``, ``"sagittal"`` or ``"acquisition"``, see
            :class:`~sa2_monai.slices.SliceOrientationd`.
        keys: volumes of one case.

    Raises:
        ValueError: another kind or axis.
    """
    kind = kind_of(kind)
    return SliceOrientationd(keys, slice_axis) if kind == "volumes" else Identityd(keys)


def check_size(keys: KeysCollection = ("image", "label")) -> CheckSameSized:
    """Check that image and label have one size and, volumes, one place; see :class:`~sa2_monai.slices.CheckSameSized`.

    Args:
        keys: items of one case.
    """
    return CheckSameSized(keys)


def scale_intensity(
    kind: str,
    intensity: str = "none",
    intensity_range: Sequence[float] = (0.0, 1.0),
    percentiles: Sequence[float] = (0.5, 99.5),
    key: Hashable = "image",
) -> MapTransform:
    """Bring the intensities of an image to [0, 1]; those of archives are left as they were prepared.

    An image that was loaded ``as_stored`` keeps its voxels: the range is noted, for the slices that are cut.

    Args:
        kind: of files, see :func:`load_image`.
        intensity: ``"window"`` clips to ``intensity_range``; ``"percentiles"`` clips to those of the image;
            ``"minmax"`` goes from its lowest to its highest value; ``"slice_maximum"`` divides each slice by its
            highest value; ``"none"`` and ``"range"`` (2D images are read as parts of their type's range) do nothing,
            and neither does ``"minmax_resized"``, which :meth:`SliceView.enter` sees to.
        intensity_range: of a window, lowest and highest value.
        percentiles: lower and upper, 0 to 100.
        key: entry with the image.

    Raises:
        ValueError: another kind or way.
    """
    kind = kind_of(kind)
    if intensity not in INTENSITIES:
        raise ValueError(f"intensity must be one of {', '.join(map(repr, INTENSITIES))}, got {intensity!r}.")
    if kind == "preprocessed":
        return Identityd(key)
    if intensity == "window":
        at_once: MapTransform = ScaleIntensityRanged(key, intensity_range[0], intensity_range[1], 0.0, 1.0, clip=True)
        return ScaleWhenCutd(key, at_once, MEASURES[intensity](intensity_range[0], intensity_range[1]))
    if intensity == "percentiles":
        at_once = ScaleIntensityRangePercentilesd(key, percentiles[0], percentiles[1], 0.0, 1.0, clip=True)
        return ScaleWhenCutd(key, at_once, MEASURES[intensity](*percentiles))
    if intensity == "minmax":
        return ScaleWhenCutd(key, ScaleIntensityd(key, 0.0, 1.0), MEASURES[intensity]())
    if intensity == "slice_maximum":
        return ScaleWhenCutd(key, ScaleSliceMaximumd(key), MEASURES[intensity]())
    return ScaleWhenCutd(key, Identityd(key))


def restore_orientation(
    kind: str, transform: torch.nn.Module | MapTransform, key: Hashable = "pred", orig_key: Hashable = "image"
) -> MapTransform:
    """Bring a prediction back to the voxels of the file: only the orientation has to be turned back, which is exact.

    Args:
        kind: of files, see :func:`load_image`.
        transform: the preprocessing of the image, with :func:`orient_slices` in it.
        key: entry with the prediction (C, x, y, z).
        orig_key: entry with the image.

    Raises:
        ValueError: another kind.
    """
    kind = kind_of(kind)
    if kind != "volumes":
        return Identityd(key)
    return Invertd(key, transform, orig_keys=orig_key, nearest_interp=True, to_tensor=True)
