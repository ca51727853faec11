# SPDX-License-Identifier: Apache-2.0
"""Abdominal CT of the MICCAI 2015 challenge "Beyond the Cranial Vault" (BTCV), called Synapse in the papers.

Homepage: https://www.synapse.org/Synapse:syn3193805

Licence: for research, as stated on the homepage (registration); not redistributed here.

Citation: Landman, Xu, Igelsias, Styner, Langerak, Klein, "MICCAI Multi-Atlas Labeling Beyond the Cranial Vault -
Workshop and Challenge", 2015.

As downloaded: ``Abdomen/RawData/Training/{img,label}`` with 30 volumes, and the labels of 13 structures. The archive of
TransUNet: ``train_npz`` with slices of 18 cases, ``test_vol_h5`` with 12 volumes.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sa2_monai.data.dataset import DataSet, Job, ListOptions, Preparation
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.preprocessed import listed_files, preprocessed_in
from sa2_monai.data.preparation.synapse_labels import SYNAPSE_CLASSES, SYNAPSE_TABLES, check_numbering
from sa2_monai.data.preparation.transunet import preprocessed_jobs
from sa2_monai.io.names import volume_stem, volumes_in
from sa2_monai.io.preprocessed import preprocessed_stem
from sa2_monai.io.problems import Problems, listing

__all__ = [
    "CITATION",
    "DATASETS",
    "HOMEPAGE",
    "LICENCE",
    "SLICES",
    "TEST_CASES",
    "synapse_parts",
    "synapse_preprocessed_parts",
]

logger = logging.getLogger(__name__)

HOMEPAGE = "https://www.synapse.org/Synapse:syn3193805"
LICENCE = "research use after registration, see the homepage"
CITATION = "Landman et al., MICCAI Multi-Atlas Labeling Beyond the Cranial Vault, 2015"

#: Numbers of the 12 test cases of the published split.
TEST_CASES = (1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38)
#: Slices of the 18 training cases by number, 2211 in all; every slice of a volume is in the archive.
SLICES = {
    **{5: 117, 6: 131, 7: 163, 9: 149, 10: 148, 21: 143, 23: 96, 24: 124, 26: 131},
    **{27: 88, 28: 89, 30: 153, 31: 93, 33: 104, 34: 98, 37: 99, 39: 90, 40: 195},
}

_SLICE = re.compile(r"case(\d{4})_slice(\d+)")
_VOLUME = re.compile(r"case(\d{4})")


def synapse_parts(directory: Path) -> Parts:
    """Data lists of the volumes as downloaded, by the published split into 18 training and 12 test cases.

    The published split has no validation part: it is taken from the 18 by the folds of
    :func:`~sa2_monai.data.load_parts`, never from the test cases.

    Args:
        directory: folder that holds ``Abdomen/RawData/Training``, ``Training``, or ``img`` and ``label`` themselves.

    Returns:
        ``training`` and ``test``, cases ``case0001`` to ``case0040``, each a patient (``group``).

    Raises:
        ValueError: no such folders, a missing partner, a number that the split does not know.
    """
    folder, names = _training_folder(directory)
    problems = Problems(str(folder))
    files = [_by_number(volumes_in(folder / name), problems) for name in names]
    for number in sorted(files[0].keys() ^ files[1].keys()):
        kind, path = (
            ("images without a label", files[0].get(number))
            if number in files[0]
            else ("labels without an image", files[1].get(number))
        )
        problems.add(kind, str(path), "unpack the archive again, or move the file away")
    problems.raise_if_any()
    parts: Parts = {"training": [], "test": []}
    for number in sorted(files[0]):
        name = f"case{number:04d}"
        case: Case = {"image": str(files[0][number]), "label": str(files[1][number]), "case": name, "group": name}
        parts["test" if number in TEST_CASES else "training"].append(case)
    _report_missing(directory, {*SLICES, *TEST_CASES} - files[0].keys())
    return parts


def synapse_preprocessed_parts(directory: Path) -> Parts:
    """Data lists of TransUNet's archive: training items are slices, grouped by case; test items are volumes.

    Args:
        directory: folder with ``train_npz`` and ``test_vol_h5``; where it has the published lists (``train.txt``,
            ``test_vol.txt``, also in ``lists/lists_Synapse``), they say which files are used.

    Returns:
        ``training`` and ``test``; image and label are one file. Slices are named ``case0005_slice000``.

    Raises:
        ValueError: no such folders, files of other names, listed files that are missing.
    """
    folders = {"training": directory / "train_npz", "test": directory / "test_vol_h5"}
    if not any(folder.is_dir() for folder in folders.values()):
        raise ValueError(
            f"{directory}: has neither train_npz/ nor test_vol_h5/, expected the archive of TransUNet "
            "(train_npz/case0005_slice000.npz, test_vol_h5/case0008.npy.h5)"
        )
    problems = Problems(str(directory))
    parts: Parts = {"training": [], "test": []}
    for part, list_name, pattern in (("training", "train.txt", _SLICE), ("test", "test_vol.txt", _VOLUME)):
        if not folders[part].is_dir():
            continue
        listed = listed_files(directory, ("", "lists_Synapse", "lists/lists_Synapse", "lists"), list_name)
        for path in preprocessed_in(folders[part], listed, problems):
            match = pattern.fullmatch(preprocessed_stem(path))
            if match is None:
                problems.add("files of other names", str(path), "expected case0005_slice000.npz and case0008.npy.h5")
                continue
            group = f"case{match[1]}"
            parts[part].append(
                {"image": str(path), "label": str(path), "case": preprocessed_stem(path), "group": group}
            )
    problems.raise_if_any()
    _report_slices(directory, parts["training"])
    _report_missing(directory, set(TEST_CASES) - {int(case["group"][-4:]) for case in parts["test"]})
    return parts


def _training_folder(directory: Path) -> tuple[Path, tuple[str, str]]:
    candidates = ("", "Training", "RawData/Training", "Abdomen/RawData/Training", "RawData", "Abdomen/RawData")
    for name in candidates:
        for pair in (("img", "label"), ("images", "labels"), ("imagesTr", "labelsTr")):
            if all((directory / name / inner).is_dir() for inner in pair):
                return directory / name, pair
    raise ValueError(
        f"{directory}: has no img/ and label/ folders, expected Abdomen/RawData/Training/{{img,label}} as downloaded "
        f"from {HOMEPAGE}; for slices in train_npz/ use dataset 'synapse_archive'"
    )


def _by_number(files: Iterable[Path], problems: Problems) -> dict[int, Path]:
    table: dict[int, Path] = {}
    for path in files:
        match = re.fullmatch(r"\D*(\d{4})(?:_0000)?", volume_stem(path))
        if match is None or int(match[1]) not in {*SLICES, *TEST_CASES}:
            problems.add(
                "files that the published split does not know",
                str(path),
                "expected img0001.nii.gz and label0001.nii.gz, numbers 1 to 10 and 21 to 40; move others away, or use "
                "dataset 'volumes'",
            )
        elif (other := table.setdefault(int(match[1]), path)) != path:
            problems.add("two files of one case", f"{other} and {path.name}", "keep one of them")
    return table


def _report_missing(directory: Path, numbers: set[int]) -> None:
    if numbers:
        names = listing([f"{number:04d}" for number in sorted(numbers)], 30)
        logger.warning("%s: %d cases of the published split are not there: %s", directory, len(numbers), names)


def _report_slices(directory: Path, cases: list[Case]) -> None:
    """Compare the number of slices by case with the published archive: what a conversion lost shows here."""
    counts = Counter(int(case["group"][-4:]) for case in cases)
    wrong = [
        f"{number:04d} has {counts.get(number, 0)} of {SLICES.get(number, 0)}"
        for number in sorted({*SLICES, *counts})
        if counts.get(number, 0) != SLICES.get(number, 0)
    ]
    if wrong and cases:
        logger.warning("%s: slices other than in the published archive: %s", directory, listing(wrong, 18))


def _transunet(directory: Path, options: ListOptions) -> list[Job]:
    return preprocessed_jobs(directory, synapse_parts(directory), SYNAPSE_TABLES["raw"])


_SYNAPSE: dict[str, Any] = {
    "homepage": HOMEPAGE,
    "licence": LICENCE,
    "citation": CITATION,
    "classes": SYNAPSE_CLASSES,
    "kind_check": check_numbering,
}
DATASETS = {
    "synapse": DataSet(
        lambda directory, options: synapse_parts(directory),
        "volumes",
        title="Synapse (BTCV): eight organs in abdominal CT",
        label_values=SYNAPSE_TABLES["raw"],
        expected={"training": (18,), "test": (12,)},
        preparations={
            "transunet": Preparation(
                "slices and volumes as in TransUNet's archive, to be read as 'synapse_archive'",
                "preprocessed",
                _transunet,
            )
        },
        **_SYNAPSE,
    ),
    "synapse_archive": DataSet(
        lambda directory, options: synapse_preprocessed_parts(directory),
        "preprocessed",
        title="Synapse as TransUNet prepared it (.npz slices, .h5 volumes)",
        label_values=SYNAPSE_TABLES["transunet"],
        expected={"training": (2211,), "test": (12,)},
        **_SYNAPSE,
    ),
}
