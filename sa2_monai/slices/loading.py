# SPDX-License-Identifier: Apache-2.0
"""Loading with one reader: what the reader refuses is an error."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.data import ImageReader, get_track_meta
from monai.transforms import LoadImaged
from monai.utils import ensure_tuple

from sa2_monai.io.causes import case_error, root_cause, unwrapped

__all__ = ["StrictLoadImaged"]


class StrictLoadImaged(LoadImaged):
    """``LoadImaged`` that uses the given reader and no other.

    MONAI's own class goes on with every reader it knows when the wanted one raises. An image that the reader refuses
    for a reason (another scale of values, a broken file that Pillow half reads) would then come in unscaled and without
    a word, or the reason would drown in the tracebacks of the others. Here the reader's own exception arrives, and an
    exception of a library that does not name the file comes as a ``ValueError`` that does.

    Args:
        keys: entries with file names.
        reader: the reader.
        kwargs: see ``monai.transforms.LoadImaged`` (``dtype``, ``ensure_channel_first``, ``allow_missing_keys``, ...).

    Raises:
        TypeError: if ``reader`` is not an ``ImageReader``.
    """

    def __init__(self, keys: KeysCollection, reader: ImageReader, **kwargs: Any) -> None:
        if not isinstance(reader, ImageReader):
            raise TypeError(f"reader must be an object of a class of monai.data.ImageReader, got {reader!r}.")
        # MONAI makes all readers that it knows; one of them, for DICOM, misses a GPU decoder that nobody asked for.
        log = logging.getLogger("monai.data.nvimgcodec_pydicom_plugin")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*nvImageCodec", category=UserWarning)
                super().__init__(keys, reader, **kwargs)
        finally:
            log.setLevel(level)
        self.reader = reader

    def __call__(self, data: Mapping[Hashable, Any], reader: ImageReader | None = None) -> dict[Hashable, Any]:
        """Return the dictionary with the images in place of the file names; ``reader`` overrules the own one once."""
        reader = reader or self.reader
        if getattr(reader, "as_stored", False) and not get_track_meta():
            raise ValueError(
                "images that are kept as their file has them (as_stored) need metadata, which say how they are scaled: "
                "switch them on with monai.data.set_track_meta(True), or leave as_stored out"
            )
        try:
            return super().__call__(data, reader)
        except Exception as error:
            cause = unwrapped(error)
            named = [file for key in self.keys for file in ensure_tuple(data.get(key, ()))]
            files = [file for file in named if isinstance(file, (str, os.PathLike))]
            message = case_error(cause, files)
            if message == root_cause(cause):
                raise
            raise ValueError(message) from cause
