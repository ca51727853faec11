# SPDX-License-Identifier: Apache-2.0
"""A look into every image of a data set, labelled or not: which cannot be read, and which hold nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sa2_monai.data.checks.opened_files import OpenedFiles
from sa2_monai.data.layouts.cases import Case
from sa2_monai.io.problems import Problems, grouped, listing
from sa2_monai.io.processors import usable_processors

__all__ = ["look_into_images"]

_WORKERS = {"volumes": 4}  # several hundred megabytes each
_UNREADABLE = "images that cannot be used"


def look_into_images(
    where: str, opened: OpenedFiles, cases: Sequence[Case], known: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Open every image of a data list.

    Args:
        where: folder named in the messages.
        opened: the files of the data set.
        cases: data list; ``image`` is a path or a list of paths.
        known: problems that were found already; what stands there is not said again.

    Returns:
        Problems: images that cannot be read (no image, damaged, NaN or infinite values), and a set in which every
        image is constant. Remarks: single images that are constant, and what is doubtful in the headers of volumes.
    """

    def look(path: str) -> tuple[str, bool, tuple[str, ...]]:
        try:
            facts = opened.image(path)
        except ValueError as error:
            return str(error), False, ()
        return "", facts.constant, facts.remarks

    paths = list(dict.fromkeys(path for case in cases for path in _images(case)))
    with ThreadPoolExecutor(max_workers=min(_WORKERS.get(opened.files, 16), usable_processors())) as pool:
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
