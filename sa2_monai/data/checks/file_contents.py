# SPDX-License-Identifier: Apache-2.0
"""What the files of a data set hold: sizes, shares of the label values, and which cannot be read."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.data.checks.opened_files import OpenedFiles
from sa2_monai.data.layouts.cases import Case
from sa2_monai.io.images.read import IMAGE_SUFFIXES, image_size, read_image
from sa2_monai.io.label_values import THRESHOLD, LabelTable, above_threshold, from_lossy_file
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.preprocessed import preprocessed_shapes
from sa2_monai.io.problems import CASE_ERRORS
from sa2_monai.io.processors import usable_processors
from sa2_monai.io.volumes.read import load_volume, volume_header

__all__ = ["measure_files", "unreadable_files"]


def measure_files(
    opened: OpenedFiles, cases: Sequence[Case], table: LabelTable, ignore_value: int | None = None
) -> tuple[list[dict[str, Any]], dict[str, float], list[str]]:
    """Sizes of the images, share of each label value, empty labels. Files that cannot be read are left to the check.

    Args:
        opened: the files of the data set.
        cases: data list.
        table: label table; with ``"nonzero"`` all values but 0 are counted together.
        ignore_value: value that belongs to no class.

    Returns:
        For each number of axes the ``smallest`` and ``largest`` length of each; share of the pixels by value; the label
        files that hold nothing but background and ignored pixels.
    """

    def is_empty(label: str, values: Sequence[float]) -> bool:
        present = [value for value in values if value != ignore_value]
        if table == THRESHOLD:
            return not present or not above_threshold(np.asarray(present, dtype=float), from_lossy_file(label)).any()
        return all(value == 0 if isinstance(table, str) else table.get(int(value), 1) == 0 for value in present)

    def look(case: Mapping[str, Any]) -> tuple[tuple[int, ...] | None, Counter[float]]:
        image = case["image"] if isinstance(case["image"], str) else case["image"][0]
        size, counts = None, Counter[float]()
        try:
            size = _size(opened.files, image)
            if "label" in case:
                counts = opened.label(str(case["label"])).counts
        except CASE_ERRORS:
            pass
        return size, counts

    total: Counter[float] = Counter()
    empty: list[str] = []
    by_axes: dict[int, list[tuple[int, ...]]] = {}
    with ThreadPoolExecutor(max_workers=min(16, usable_processors())) as pool:
        for case, (size, counts) in zip(cases, pool.map(look, cases), strict=True):
            if size is not None:
                by_axes.setdefault(len(size), []).append(size)
            total.update(counts)
            if counts and is_empty(str(case["label"]), list(counts)):
                empty.append(str(case["label"]))
    axes = [list(zip(*found, strict=True)) for _, found in sorted(by_axes.items())]
    sizes = [{"smallest": [min(axis) for axis in of], "largest": [max(axis) for axis in of]} for of in axes]
    voxels = sum(total.values()) or 1
    if isinstance(table, str):
        shares = {"0": total[0] / voxels, "nonzero": 1 - total[0] / voxels} if total else {}
    else:
        shares = {f"{value:.8g}": total[value] / voxels for value in sorted(total)}
    return sizes, shares, empty


def _size(files: str, path: str) -> tuple[int, ...]:
    if files == "images":
        return image_size(path)
    return tuple(volume_header(path).shape if files == "volumes" else preprocessed_shapes(path)["image"])


def unreadable_files(files: Sequence[Path]) -> list[str]:
    """What is wrong with the files of a preparation, as far as can be told by their kind.

    Args:
        files: images, volumes, zip archives or others.

    Returns:
        A message for each that cannot be read.
    """

    def look(path: Path) -> str | None:
        name = path.name.lower()
        try:
            if name.endswith(IMAGE_SUFFIXES):
                read_image(path)
            elif name.endswith(VOLUME_SUFFIXES):
                load_volume(path)
            elif zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    damaged = archive.testzip()
                return None if damaged is None else f"{path}: {damaged} in it is damaged; download it again"
            else:
                path.open("rb").close()
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            return str(error)
        return None

    with ThreadPoolExecutor(max_workers=min(16, usable_processors())) as pool:
        return [found for found in pool.map(look, files) if found is not None]
