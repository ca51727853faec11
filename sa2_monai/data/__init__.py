# SPDX-License-Identifier: Apache-2.0
"""Data sets: pictures and folders as downloaded become MONAI data lists; splits by case; the sample generator.

Importing this room imports neither torch nor MONAI: what needs them is loaded when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sa2_monai.data.datalist import DATASETS, SECTIONS, label_table, load_datalist, load_parts
from sa2_monai.data.download import DOWNLOADS, download
from sa2_monai.data.imagelist import list_images
from sa2_monai.data.pictures import PICTURE_SUFFIXES, picture_size, read_image, read_label
from sa2_monai.data.splits import check_disjoint, kfold, split_test, write_splits

if TYPE_CHECKING:
    from sa2_monai.data.reader import PictureReader
    from sa2_monai.data.sample import make_sample, sample_is_current

__all__ = [
    "DATASETS",
    "DOWNLOADS",
    "PICTURE_SUFFIXES",
    "SECTIONS",
    "PictureReader",
    "check_disjoint",
    "download",
    "kfold",
    "label_table",
    "list_images",
    "load_datalist",
    "load_parts",
    "make_sample",
    "picture_size",
    "read_image",
    "read_label",
    "sample_is_current",
    "split_test",
    "write_splits",
]


# Names whose modules import torch and MONAI, or SciPy.
_LAZY = {
    "PictureReader": "sa2_monai.data.reader",
    "make_sample": "sa2_monai.data.sample",
    "sample_is_current": "sa2_monai.data.sample",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
