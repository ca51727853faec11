# SPDX-License-Identifier: Apache-2.0
"""FIVES: vessels in fundus photographs of four groups of eyes, as downloaded.

Homepage: https://doi.org/10.6084/m9.figshare.19688169

Licence: CC BY 4.0; not redistributed here.

Citation: Jin, Huang, Zhou et al., "FIVES: A Fundus Image Dataset for Artificial Intelligence based Vessel
Segmentation", Scientific Data 9 (2022) 475.

As downloaded: ``train/Original/1_A.png``, ``train/Ground truth/1_A.png``, the same below ``test``, and a table of image
quality (not read); 600 and 200 images of 2048 x 2048. The letter is the group: A age-related macular degeneration, D
diabetic retinopathy, G glaucoma, N normal. Images of ``train`` and ``test`` share names and are different images, so
cases are named ``1_A_train`` and ``1_A_test``.

``fives_vessels`` is the segmentation of vessels. ``fives`` has SvANet's five classes: the vessels of an image are of
the class of its group, so that the task is segmentation and classification in one.
"""

from __future__ import annotations

import re
from pathlib import Path

from sa2_monai.data.dataset import DataSet, ListOptions, report_counts
from sa2_monai.data.layouts.cases import Parts, images_in, pair_by_stem
from sa2_monai.data.layouts.nested import folder_with, subfolder
from sa2_monai.data.preparation.cache import cache_folder
from sa2_monai.data.preparation.masks import cache_masks
from sa2_monai.io.problems import Problems

__all__ = ["CITATION", "DATASETS", "EXPECTED", "FIVES_CLASSES", "GROUPS", "HOMEPAGE", "LICENCE", "fives_parts"]

HOMEPAGE = "https://doi.org/10.6084/m9.figshare.19688169"
LICENCE = "CC BY 4.0"
CITATION = "Jin et al., Scientific Data 9 (2022) 475"
EXPECTED: dict[str, tuple[int, ...]] = {"training": (600,), "test": (200,)}

#: Class of the vessels by the letter in the file name, in SvANet's order.
GROUPS = {"A": 1, "D": 2, "G": 3, "N": 4}
FIVES_CLASSES = ("background", "amd", "diabetic retinopathy", "glaucoma", "normal")

_PARTS = {"training": "train", "test": "test"}
_FOLDERS = ("Original", "Ground truth")
_GROUP = re.compile(r"_([ADGN])$", re.IGNORECASE)


def fives_parts(directory: Path, by_group: bool = True, cache_dir: Path | None = None) -> Parts:
    """Data lists of FIVES by the official split; masks are made into label maps once, in a cache folder.

    Args:
        directory: folder that holds ``train`` and ``test``, directly or up to two levels below.
        by_group: vessels are 1 to 4 by the group of the image (:data:`GROUPS`); otherwise 255.
        cache_dir: where label maps are kept, see :func:`sa2_monai.data.preparation.cache.cache_folder`.

    Returns:
        Cases of ``training`` and ``test``; the validation part is folded out of ``training``, patients are not known.

    Raises:
        ValueError: no such folders, an image without its mask, or a file name without the letter of its group.
    """
    found = (folder_with(directory, f"{name}/{_FOLDERS[0]}", levels=2) for name in _PARTS.values())
    base = next((folder for folder in found if folder is not None), None)
    if base is None:
        raise ValueError(
            f"{directory}: has no folders train/Original and test/Original, each with 'Ground truth' beside it, here "
            f"or up to two levels below, as downloaded from {HOMEPAGE}"
        )
    problems = Problems(str(directory))
    parts: Parts = {}
    for part, name in _PARTS.items():
        if subfolder(base, name) is None:
            continue
        images, labels = (subfolder(base, f"{name}/{inner}") for inner in _FOLDERS)
        if images is None or labels is None:
            missing = _FOLDERS[0] if images is None else _FOLDERS[1]
            problems.add("missing folders", str(base / name / missing), "unpack the archive again")
            continue
        parts[part] = pair_by_stem(images_in(images), images_in(labels), base / name)
    groups: list[int] = []
    for case in (case for part in parts.values() for case in part):
        match = _GROUP.search(case["case"])
        if match is None and by_group:
            problems.add(
                "file names without the letter of a group",
                str(case["image"]),
                "expected <number>_A, _D, _G or _N as downloaded; use layout 'fives_vessels' for other names",
            )
        groups.append(GROUPS[match[1].upper()] if match else 0)
    problems.raise_if_any()
    report_counts(directory, parts, EXPECTED)
    for part, cases in parts.items():
        for case in cases:
            case["case"] = f"{case['case']}_{_PARTS[part]}"
    cache = cache_folder(directory, cache_dir, "fives") / ("groups" if by_group else "vessels")
    cache_masks(str(directory), [c for part in parts.values() for c in part], cache, groups if by_group else 255)
    return parts


def _by_group(directory: Path, options: ListOptions) -> Parts:
    return fives_parts(directory, True, options.cache_dir)


def _vessels(directory: Path, options: ListOptions) -> Parts:
    return fives_parts(directory, False, options.cache_dir)


DATASETS = {
    "fives": DataSet(
        _by_group,
        title="FIVES: retinal vessels, valued by the disease of the eye (SvANet's five classes)",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=FIVES_CLASSES,
        expected=EXPECTED,
    ),
    "fives_vessels": DataSet(
        _vessels,
        title="FIVES: retinal vessels in fundus photographs",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=("background", "vessel"),
        label_values={0: 0, 1: 1, 255: 1},
        expected=EXPECTED,
    ),
}
