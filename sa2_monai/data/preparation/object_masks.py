# SPDX-License-Identifier: Apache-2.0
"""Label files of single objects put together: one label map and one map of instance numbers per image, in the cache."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from sa2_monai.data.layouts.discovery.layout import Layout
from sa2_monai.data.preparation.cache import cache_folder, is_cached, write_png
from sa2_monai.data.preparation.masks import threshold_mask
from sa2_monai.io.problems import Problems
from sa2_monai.io.processors import usable_processors

__all__ = ["join_masks", "joined_objects"]

logger = logging.getLogger(__name__)

_RULE = "objects-1"  # changes whenever join_masks() gives other pixels


def joined_objects(directory: Path, layout: Layout, kind: str, cache_dir: Path | None = None) -> None:
    """Give the cases of a layout with several label files per image one label map and one map of instances.

    Args:
        directory: the data set's folder.
        layout: with ``objects``; its cases get ``label`` (0 and 255) and ``instances`` (numbers from 1).
        kind: ``"images"`` or ``"volumes"``.
        cache_dir: cache folder; ``None`` for that of the data set.

    Raises:
        ValueError: volumes; or label files that cannot be read or differ in size, all of them named.
        OSError: the cache cannot be written.
    """
    if kind != "images":
        first = next(iter(layout.objects))
        raise ValueError(
            f"{directory}: {first} has {len(layout.objects[first])} label files; put them together into one label map "
            "with a value per class, or choose one with --labels GLOB"
        )
    folder = cache_folder(directory, cache_dir, "objects")
    problems = Problems(str(directory))

    def make(case: dict) -> str | None:
        files = layout.objects.get(str(case["image"]))
        if files is None:
            return None
        label, instances = (folder / name / f"{case['case']}.png" for name in ("labels", "instances"))
        case["label"], case["instances"] = str(label), str(instances)
        key = _key(files)
        if is_cached(label, key) and is_cached(instances, key):
            return None
        try:
            numbers = join_masks(files)
        except ValueError as error:
            return str(error)
        write_png(instances, numbers, key)
        write_png(label, np.where(numbers > 0, 255, 0).astype(np.uint8), key)
        return None

    cases = [case for part in layout.parts.values() for case in part]
    with ThreadPoolExecutor(max_workers=min(16, usable_processors())) as pool:
        for error in pool.map(make, cases):
            if error:
                problems.add("label files of objects that cannot be put together", error, "repair these files")
    problems.raise_if_any()


def join_masks(files: Sequence[Path]) -> np.ndarray:
    """One map of instance numbers from masks of one object each; where they overlap, the first keeps the pixels.

    Args:
        files: masks of one size, what is brighter than half the range is the object.

    Returns:
        uint16 array (H, W): 0, and k + 1 for the object of file k.

    Raises:
        ValueError: a file cannot be read, or the sizes differ.
    """
    numbers: np.ndarray | None = None
    for index, path in enumerate(files):
        mask = threshold_mask(path, 1)
        if numbers is None:
            numbers = np.zeros(mask.shape, np.uint16)
        if mask.shape != numbers.shape:
            raise ValueError(f"{path}: is {mask.shape[1]} x {mask.shape[0]}, {files[0].name} is another size")
        numbers[(numbers == 0) & (mask > 0)] = index + 1
    assert numbers is not None
    return numbers


def _key(files: Sequence[Path]) -> str:
    """Of thousands of files the times and sizes have to do."""
    facts = [f"{path}:{(status := path.stat()).st_size}:{status.st_mtime_ns}" for path in files]
    return hashlib.sha256("\n".join([_RULE, *facts]).encode()).hexdigest()
