# SPDX-License-Identifier: Apache-2.0
"""A look into every image of a data set, labelled or not: which cannot be read, and which hold nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from sa2_monai.data.layouts.folders import Case
from sa2_monai.io.causes import case_error
from sa2_monai.io.images.read import read_image
from sa2_monai.io.preprocessed import read_archive
from sa2_monai.io.problems import CASE_ERRORS, Problems, grouped, listing
from sa2_monai.io.volumes.read import load_volume

__all__ = ["look_into_images"]

_WORKERS = {"volumes": 4}  # several hundred megabytes each
_UNREADABLE = "images that cannot be used"


def look_into_images(
    where: str, files: str, cases: Sequence[Case], known: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Open every image of a data list.

    Args:
        where: folder named in the messages.
        files: kind of files: ``"pictures"``, ``"volumes"`` or ``"archives"``.
        cases: data list; ``image`` is a path or a list of paths.
        known: problems that were found already; what stands there is not said again.

    Returns:
        Problems: images that cannot be read (no image, damaged, NaN or infinite values), and a set in which every
        image is constant. Remarks: single images that are constant, and what is doubtful in the headers of volumes.
    """

    def look(path: str) -> tuple[str, bool, tuple[str, ...]]:
        try:
            array, remarks = _READ[files](path)
        except CASE_ERRORS as error:
            return case_error(error, [path]), False, ()
        return "", bool(array.min() == array.max()), remarks

    paths = list(dict.fromkeys(path for case in cases for path in _images(case)))
    with ThreadPoolExecutor(max_workers=min(_WORKERS.get(files, 16), os.cpu_count() or 1)) as pool:
        found = list(pool.map(look, paths))
    problems, remarks = Problems(where), []
    for message, _, _ in found:
        if message and not any(message in text for text in known):
            problems.add(_UNREADABLE, message, "replace, repair or remove these files")
    constant = [path for path, (_, empty, _) in zip(paths, found, strict=True) if empty]
    if constant and len(constant) == len(paths):
        problems.add("images with one value everywhere", f"all {len(paths)} images", "export the images again")
    elif constant:
        remarks.append(f"images with one value everywhere ({len(constant)}): {listing(constant)}")
    remarks += grouped(((text, path) for path, (_, _, texts) in zip(paths, found, strict=True) for text in texts), 3)
    return problems.texts(), remarks


def _images(case: Mapping[str, Any]) -> list[str]:
    return [str(case["image"])] if isinstance(case["image"], str) else [str(path) for path in case["image"]]


def _volume(path: str) -> tuple[np.ndarray, tuple[str, ...]]:
    volume = load_volume(path)
    return volume.array, volume.header.remarks


_READ: dict[str, Callable[[str], tuple[np.ndarray, tuple[str, ...]]]] = {
    "pictures": lambda path: (read_image(path), ()),
    "volumes": _volume,
    "archives": lambda path: (read_archive(path, "image"), ()),
}
