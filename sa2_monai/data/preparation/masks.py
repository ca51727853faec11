# SPDX-License-Identifier: Apache-2.0
"""Masks for people to look at (grey or colour, also JPEG) as label maps, made once into a cache folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from sa2_monai.data.layouts.cases import Case
from sa2_monai.data.preparation.cache import cached_label
from sa2_monai.io.images.meaning import to_image
from sa2_monai.io.images.read import read_samples
from sa2_monai.io.problems import Problems
from sa2_monai.io.processors import usable_processors

__all__ = ["cache_masks", "threshold_mask"]

logger = logging.getLogger(__name__)

_RULE = "first-channel-above-half-2"  # changes whenever threshold_mask() gives other pixels


def threshold_mask(path: Path, value: int = 255) -> np.ndarray:
    """Read a mask of one or three channels as a label map: what is brighter than half the range is foreground.

    The first channel counts, the threshold is 127 for 8 bits. Masks that hold nothing but 0 and 1 are class numbers. As
    in all masks the stored values count, also where 0 is shown white.

    Args:
        path: image file; JPEG blurs the borders of masks, which the threshold repairs.
        value: value of the foreground in the result.

    Returns:
        uint8 array (H, W): 0 and ``value``.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file cannot be read.
    """
    samples = read_samples(path)
    grey = to_image(replace(samples, white_is_zero=False), path, None)[:, :, 0]
    highest = np.iinfo(grey.dtype).max if grey.dtype.kind == "u" else 1.0
    if grey.dtype.kind == "u" and grey.max(initial=0) == 1 and not samples.lossy:
        highest = 1
    return np.where(grey > highest / 2, value, 0).astype(np.uint8)


def cache_masks(where: str, cases: Sequence[Case], folder: Path, values: Sequence[int] | int = 255) -> None:
    """Replace the masks of cases by label maps in a cache folder; those that are there are not made again.

    Args:
        where: data set named in the messages.
        cases: cases with ``case`` and ``label``; the paths of the labels are replaced.
        folder: cache folder.
        values: value of the foreground, one for each case or the same for all.

    Raises:
        ValueError: masks that cannot be read; all of them are named.
        OSError: the folder cannot be written.
    """
    problems = Problems(where)
    of_case = [values] * len(cases) if isinstance(values, int) else values

    def convert(case: Case, value: int) -> bool | str:
        source, path = Path(case["label"]), folder / f"{case['case']}.png"
        case["label"] = str(path)
        try:
            return cached_label(source, path, f"{_RULE} {value}", lambda mask: threshold_mask(mask, value))
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=min(16, usable_processors())) as pool:
        made = list(pool.map(convert, cases, of_case))
    for result in made:
        if isinstance(result, str):
            problems.add("unreadable label files", result, "replace or remove these files")
    problems.raise_if_any()
    if any(made):
        logger.info("%s: %d masks written as label maps to %s", where, sum(map(bool, made)), folder)
