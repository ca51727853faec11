# SPDX-License-Identifier: Apache-2.0
"""MONAI image readers, one per kind of files; :func:`case_reader` chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa2_monai.io.kinds import kind_of

if TYPE_CHECKING:
    from monai.data import ImageReader

__all__ = ["case_reader"]


def case_reader(
    kind: str,
    label: bool = False,
    channels: int = 1,
    channel_order: str = "RGB",
    as_volume: bool = False,
    reverse_indexing: bool = False,
    series: str | int = "",
    as_stored: bool = False,
) -> ImageReader:
    """Image reader for a kind of files; all give arrays whose first two axes are the rows and columns of a slice.

    Args:
        kind: ``"images"``, ``"volumes"`` or ``"preprocessed"``.
        label: read label maps instead of images.
        channels: of the images; preprocessed files have one.
        channel_order: of images, ``"RGB"`` or ``"BGR"``.
        as_volume: give images, and preprocessed slices, as volumes of one slice.
        reverse_indexing: give images as (W, H), as MONAI's own readers do.
        series: of DICOM folders with several series, see :class:`~sa2_monai.data.VolumeReader`.
        as_stored: keep pixels and voxels in the type of the file, see :mod:`sa2_monai.io.readers.stored`; not of
            preprocessed files.

    Returns:
        :class:`~sa2_monai.data.Image2DReader`, :class:`~sa2_monai.data.VolumeReader` or
        :class:`~sa2_monai.data.PreprocessedReader`.

    Raises:
        ValueError: another kind, or options that its reader does not have.
    """
    from sa2_monai.io.readers.images import Image2DReader
    from sa2_monai.io.readers.preprocessed import PreprocessedReader
    from sa2_monai.io.readers.volumes import VolumeReader

    kind = kind_of(kind)
    if kind == "images":
        number = None if label else channels
        return Image2DReader(number, channel_order, label, reverse_indexing, as_volume, as_stored)
    if kind == "volumes":
        if label:
            return VolumeReader(label=True, as_stored=as_stored)
        return VolumeReader(channels=channels, series=series, as_stored=as_stored)
    return PreprocessedReader("label" if label else "image", as_volume)
