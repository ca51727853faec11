# SPDX-License-Identifier: Apache-2.0
"""TissueNet: cells and nuclei in multiplexed fluorescence images of several tissues.

Homepage: https://datasets.deepcell.org

Licence: for non-commercial, academic use, as stated on the homepage (registration); not redistributed here.

Citation: Greenwald, Miller, Moen et al., "Whole-cell segmentation of tissue images with human-level performance using
large-scale data annotation and deep learning", Nature Biotechnology 40 (2022) 555-565.

As downloaded: ``tissuenet_v1.0_{train,val,test}.npz``, each with ``X`` (N, H, W, 2), nuclear and membrane stain, and
``y`` (N, H, W, 2), numbers of whole cells and of nuclei. ``sa2-monai datasets prepare tissuenet`` makes images of
them: the nuclear stain in green, the membrane stain in blue, red empty, each stretched from the percentiles 5 to 95 of
its values above 0 in the image (as DeepCell shows them), and a label with three classes, the nucleus over the cell.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sa2_monai.data.dataset import DataSet, Job, ListOptions, Preparation
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.preparation.cache import write_png
from sa2_monai.data.preparation.folder import prepared_parts_of
from sa2_monai.io.arrays.npz_stacks import npz_stack, npz_stack_shape
from sa2_monai.io.problems import Problems

__all__ = [
    "CITATION",
    "DATASETS",
    "HOMEPAGE",
    "LICENCE",
    "TISSUENET_CLASSES",
    "colour",
    "raw_archives",
    "tissuenet_parts",
    "write_images",
]

HOMEPAGE = "https://datasets.deepcell.org"
LICENCE = "non-commercial, academic use after registration, see the homepage"
CITATION = "Greenwald et al., Nature Biotechnology 40 (2022) 555-565"
#: Classes by value in the prepared labels.
TISSUENET_CLASSES = ("background", "cell", "nucleus")

_FILE = re.compile(r".*(train|val|test)\.npz", re.IGNORECASE)
_SECTIONS = {"train": "training", "val": "validation", "test": "test"}
_PIECE = 256  # images of a job: an interrupted preparation loses less, several processes share a file
_PERCENTILES = (5, 95)


def tissuenet_parts(directory: Path) -> Parts:
    """Data lists of the prepared images, by the official parts.

    Args:
        directory: folder that ``sa2-monai datasets prepare tissuenet`` wrote.

    Returns:
        Cases by part.

    Raises:
        ValueError: another folder, or the data as downloaded.
    """
    parts = prepared_parts_of(directory, "tissuenet")
    if parts is not None:
        return parts
    raw = _is_raw(directory)
    found = "holds TissueNet as downloaded" if raw else "is no folder of prepared images of TissueNet"
    raise ValueError(
        f"{directory}: {found}; make the images once with: sa2-monai datasets prepare tissuenet "
        f"{directory if raw else 'DIR'} OUT, and give OUT as dataset_dir (DIR holds tissuenet_v1.0_train.npz, ... of "
        f"{HOMEPAGE})"
    )


def _is_raw(directory: Path) -> bool:
    return any(_FILE.fullmatch(path.name) for path in directory.iterdir())


def raw_archives(directory: Path) -> dict[str, tuple[Path, int]]:
    """Archives as downloaded, checked by their headers.

    Args:
        directory: folder that holds them.

    Returns:
        ``"train"``, ``"val"`` and ``"test"``, those that are there -> file and number of images.

    Raises:
        ValueError: no archives, two of one part (two versions), or arrays of other shapes; all of them are named.
    """
    problems = Problems(str(directory))
    found: dict[str, tuple[Path, int]] = {}
    for path in sorted(directory.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match is None or path.name.startswith("."):
            continue
        part = match[1].lower()
        if part in found:
            problems.add("two archives of one part", f"{found[part][0]} and {path.name}", "keep one version")
            continue
        try:
            shapes = [npz_stack_shape(path, key) for key in "Xy"]
        except ValueError as error:
            problems.add("unreadable archives", str(error), "download them again")
            continue
        if shapes[0] != shapes[1] or len(shapes[0]) != 4 or shapes[0][3] != 2:
            problems.add("archives of other shapes", f"{path}: X {shapes[0]}, y {shapes[1]}", "expected (N, H, W, 2)")
            continue
        found[part] = path, shapes[0][0]
    problems.raise_if_any()
    if "train" not in found:
        raise ValueError(
            f"{directory}: has no archive of the training part, expected tissuenet_v1.0_train.npz, "
            f"tissuenet_v1.0_val.npz and tissuenet_v1.0_test.npz as downloaded from {HOMEPAGE}"
        )
    return found


def colour(stains: np.ndarray) -> np.ndarray:
    """Image of two stains.

    Args:
        stains: (H, W, 2), nuclear and membrane stain.

    Returns:
        (H, W, 3), uint8: red empty, nuclear stain green, membrane stain blue.
    """
    image = np.zeros((*stains.shape[:2], 3), np.uint8)
    for k in range(2):
        stain = stains[:, :, k].astype(np.float64)
        above = stain[stain > 0]
        if above.size:
            low, high = np.percentile(above, _PERCENTILES)
            inside = (stain - low) / (high - low) if high > low else (stain > 0).astype(np.float64)
            image[:, :, k + 1] = np.rint(np.clip(inside, 0, 1) * 255)
    return image


def write_images(job: Job, folder: Path) -> list[Case]:
    """Write some images of an archive: ``images/<part>_00000.png`` and ``labels/<part>_00000.png``.

    Args:
        job: its source is the archive, its options ``part``, ``start`` and ``stop``.
        folder: folder of the preparation.

    Returns:
        Entries of the data list.

    Raises:
        ValueError: a damaged archive.
    """
    path, part = job.sources[0], job.options["part"]
    numbers = range(job.options["start"], job.options["stop"])
    stacks = (npz_stack(path, key, numbers.start, numbers.stop) for key in "Xy")
    cases = []
    for number, stains, masks in zip(numbers, *stacks, strict=True):
        name = f"{part}_{number:05d}"
        files = {"image": f"images/{name}.png", "label": f"labels/{name}.png"}
        write_png(folder / files["image"], colour(stains))
        label = np.where(masks[:, :, 1] > 0, 2, np.where(masks[:, :, 0] > 0, 1, 0))
        write_png(folder / files["label"], label.astype(np.uint8))
        cases.append({**files, "case": name, "section": _SECTIONS[part]})
    return cases


def _jobs(directory: Path, options: ListOptions) -> list[Job]:
    return [
        Job(
            f"{part}_{start:05d}",
            (path,),
            write_images,
            {"part": part, "start": start, "stop": min(start + _PIECE, number)},
        )
        for part, (path, number) in raw_archives(directory).items()
        for start in range(0, number, _PIECE)
    ]


DATASETS = {
    "tissuenet": DataSet(
        lambda directory, options: tissuenet_parts(directory),
        title="TissueNet: cells and nuclei in fluorescence images of tissues",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=TISSUENET_CLASSES,
        prepare_first=_is_raw,
        preparations={
            "images": Preparation(
                "RGB images (nuclear stain green, membrane stain blue) with cells and nuclei as classes",
                "images",
                _jobs,
            )
        },
    )
}
