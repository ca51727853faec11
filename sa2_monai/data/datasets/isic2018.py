# SPDX-License-Identifier: Apache-2.0
"""ISIC 2018 task 1: lesions in dermoscopic photographs, as downloaded or as the arrays of the published preparation.

Homepage: https://challenge.isic-archive.com/data/#2018

Licence: CC BY-NC 4.0, as stated on the homepage; not redistributed here.

Citation: Codella, Rotemberg, Tschandl et al., "Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge Hosted
by the International Skin Imaging Collaboration (ISIC)", arXiv:1902.03368; Tschandl, Rosendahl, Kittler, "The HAM10000
dataset", Scientific Data 5 (2018) 180161.

As downloaded: ``ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg`` and
``ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png`` (0 and 255), and the same for ``Validation`` and
``Test``; 2594, 100 and 1000 images. Which images show one lesion or patient is not part of the files.

The published networks cut the training images 1815/259/520 in the order of a directory listing, which differs between
machines. The split ``published-like`` makes that cut on the sorted identifiers. The arrays ``X_tr_224x224.npy`` and
``Y_tr_224x224.npy`` of the published preparation have their order in them and are cut where they lie.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sa2_monai.data.dataset import DataSet, ListOptions, report_counts
from sa2_monai.data.layouts.cases import Case, Parts, images_in, pair_by_stem
from sa2_monai.data.layouts.nested import folders_below, subfolder
from sa2_monai.data.preparation.cache import cache_folder
from sa2_monai.data.preparation.image_arrays import unpack_images
from sa2_monai.io.problems import Problems

__all__ = ["CITATION", "DATASETS", "EXPECTED", "HOMEPAGE", "LICENCE", "isic2018_parts", "published_cut"]

logger = logging.getLogger(__name__)

HOMEPAGE = "https://challenge.isic-archive.com/data/#2018"
LICENCE = "CC BY-NC 4.0"
CITATION = "Codella et al., arXiv:1902.03368; Tschandl et al., Scientific Data 5 (2018) 180161"
#: Number of images by part, as published.
EXPECTED: dict[str, tuple[int, ...]] = {"training": (2594,), "validation": (100,), "test": (1000,)}

_OFFICIAL, _LIKE = SPLITS = ("official", "published-like")
_NAMES = {"training": "Training", "validation": "Validation", "test": "Test"}
_HINT = f"download and unpack it from {HOMEPAGE}, or move its partner away if the part shall not be used"


def isic2018_parts(directory: Path, split: str | None = None, cache_dir: Path | None = None) -> Parts:
    """Data lists of ISIC 2018, task 1.

    Args:
        directory: folder that holds the unpacked archives, directly or one level below, or ``X_tr_*.npy`` and
            ``Y_tr_*.npy``.
        split: ``"official"`` (``None``; a validation or test part that is not there is split off from the training
            part) or ``"published-like"`` (70 %, 10 % and 20 % of the sorted training images; of arrays always).
        cache_dir: where arrays are unpacked to, see :func:`sa2_monai.data.preparation.cache.cache_folder`.

    Returns:
        Cases by part, named by the identifier of the image.

    Raises:
        ValueError: unknown split, no such files, a missing folder, or an image without its mask.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    arrays = _arrays(directory)
    if arrays is not None:
        if split == _OFFICIAL:
            raise ValueError(
                f"{arrays[0]}: holds the training images only; split {_OFFICIAL!r} needs the files as downloaded, "
                f"use split {_LIKE!r}"
            )
        cases = unpack_images(*arrays, cache_folder(directory, cache_dir, "isic2018"), "isic")
        report_counts(directory, {"training": cases}, {"training": EXPECTED["training"]})
        return published_cut(cases)
    parts = _downloaded(directory)
    if split == _LIKE:
        report_counts(directory, parts, {"training": EXPECTED["training"]})
        return published_cut(parts.get("training", []))
    report_counts(directory, parts, EXPECTED)
    return parts


def published_cut(cases: list[Case]) -> Parts:
    """Cut a list 70/10/20 as the published code does: 2594 into 1815, 259 and 520.

    Args:
        cases: data list, in the order that is cut.

    Returns:
        ``training``, ``validation`` and ``test``.

    Raises:
        ValueError: too few cases for three parts.
    """
    first, second = len(cases) * 7 // 10, len(cases) * 7 // 10 + len(cases) // 10
    if not 0 < first < second < len(cases):
        raise ValueError(f"{len(cases)} training images cannot be cut 70/10/20, expected at least 10; add images")
    return {"training": cases[:first], "validation": cases[first:second], "test": cases[second:]}


def _arrays(directory: Path) -> tuple[Path, Path] | None:
    """The arrays of images and masks; ``None`` where there are none."""
    for folder in folders_below(directory):
        found = sorted(folder.glob("X_tr_*.npy"))
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise ValueError(f"{folder}: has {names}, expected one of them; give each a folder of its own")
        if found:
            masks = found[0].with_name(f"Y{found[0].name[1:]}")
            if not masks.is_file():
                raise FileNotFoundError(f"{masks}: no such file; it holds the masks of {found[0].name}")
            return found[0], masks
    return None


def _downloaded(directory: Path) -> Parts:
    problems = Problems(str(directory))
    parts: Parts = {}
    for part, name in _NAMES.items():
        names = (f"ISIC2018_Task1-2_{name}_Input", f"ISIC2018_Task1_{name}_GroundTruth")
        images, labels = (_find(directory, wanted) for wanted in names)
        if images is not None and labels is not None:
            parts[part] = pair_by_stem(
                [path for path in images_in(images) if not path.stem.endswith("_superpixels")],
                images_in(labels),
                directory,
                lambda path: path.stem.removesuffix("_segmentation"),
            )
        elif images is not None or labels is not None:
            problems.add("missing folders", names[0] if images is None else names[1], _HINT)
    problems.raise_if_any()
    if not parts:
        raise ValueError(
            f"{directory}: has no folders ISIC2018_Task1-2_Training_Input and ISIC2018_Task1_Training_GroundTruth, "
            f"here or one level below, as downloaded from {HOMEPAGE}, and no X_tr_224x224.npy"
        )
    return parts


def _find(directory: Path, name: str) -> Path | None:
    """Folder of a name that holds images; archives that unpack into a folder of their own name are looked through."""
    for folder in folders_below(directory):
        found = subfolder(folder, name)
        if found is not None and images_in(found):
            return found
    return None


def _parts(directory: Path, options: ListOptions) -> Parts:
    return isic2018_parts(directory, options.split, options.cache_dir)


DATASETS = {
    "isic2018": DataSet(
        _parts,
        title="ISIC 2018 task 1: lesions in dermoscopic photographs",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=("background", "lesion"),
        label_values={0: 0, 1: 1, 255: 1},
        splits=SPLITS,
        expected=EXPECTED,
    )
}
