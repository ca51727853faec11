# SPDX-License-Identifier: Apache-2.0
"""What a configuration asks for by the kind of its files: the reader, the list of cases."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sa2_monai.data.dataset import KINDS
from sa2_monai.data.imagelist import list_images
from sa2_monai.data.volumelist import list_volumes

if TYPE_CHECKING:
    from monai.data import ImageReader

__all__ = ["case_reader", "list_cases"]


def case_reader(
    kind: str,
    label: bool = False,
    channels: int = 1,
    channel_order: str = "RGB",
    as_volume: bool = False,
    reverse_indexing: bool = False,
) -> ImageReader:
    """Image reader for a kind of files; all give arrays whose first two axes are the rows and columns of a slice.

    Args:
        kind: ``"pictures"``, ``"volumes"`` or ``"archives"``.
        label: read label maps instead of images.
        channels: of the images; archives have one.
        channel_order: of pictures, ``"RGB"`` or ``"BGR"``.
        as_volume: give pictures, and slices of archives, as volumes of one slice.
        reverse_indexing: give pictures as (W, H), as MONAI's own readers do.

    Returns:
        :class:`~sa2_monai.data.PictureReader`, :class:`~sa2_monai.data.VolumeReader` or
        :class:`~sa2_monai.data.ArchiveReader`.

    Raises:
        ValueError: another kind, or options that its reader does not have.
    """
    from sa2_monai.data.archive_reader import ArchiveReader
    from sa2_monai.data.reader import PictureReader
    from sa2_monai.data.volume_reader import VolumeReader

    _check(kind)
    if kind == "pictures":
        number = None if label else channels
        return PictureReader(number, channel_order, label, reverse_indexing, as_volume)
    if kind == "volumes":
        return VolumeReader(label=True) if label else VolumeReader(channels=channels)
    return ArchiveReader("label" if label else "image", as_volume)


def list_cases(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    kind: str = "volumes",
    in_channels: int | None = None,
) -> list[dict[str, Any]]:
    """Data list for inference.

    Args:
        source: file, folder or list, see :func:`~sa2_monai.data.list_images` and :func:`~sa2_monai.data.list_volumes`.
        kind: ``"pictures"``, else volumes: what was trained on the slices of archives is used on volumes.
        in_channels: of the network: images of several files are found by their names, as the two functions say.

    Returns:
        List of ``{"image": path, "case": name}``.

    Raises:
        FileNotFoundError: the source or a listed file is missing.
        ValueError: another kind, or no files of it.
    """
    _check(kind)
    return list_images(source, in_channels) if kind == "pictures" else list_volumes(source, in_channels)


def _check(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(map(repr, KINDS))}")
