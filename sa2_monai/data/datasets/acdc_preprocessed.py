# SPDX-License-Identifier: Apache-2.0
"""Cardiac MR of ACDC in the preprocessed forms of the literature: slices and volumes without geometry.

Both hold the 100 training patients of the challenge, cut into slices by others; see
:mod:`sa2_monai.data.datasets.acdc` for the data set itself.
"""

from __future__ import annotations

import re
from pathlib import Path

from sa2_monai.data.dataset import DataSet, report_counts
from sa2_monai.data.datasets.acdc import ACDC_CLASSES, CITATION, HOMEPAGE, LICENCE, part_of_patient
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.preprocessed import listed_files, preprocessed_in
from sa2_monai.io.preprocessed import preprocessed_stem
from sa2_monai.io.problems import Problems

__all__ = ["DATASETS", "acdc_preprocessed_parts", "acdc_ssl4mis_parts"]

#: Number of files by part of the archive of MT-UNet and CASCADE.
_EXPECTED: dict[str, tuple[int, ...]] = {"training": (1304,), "validation": (182,), "test": (40,)}

_MTUNET = re.compile(r"case_(\d{3})_(?:slice|volume)_?(?:ED|ES)(?:_\d+)?")
_SSL4MIS = re.compile(r"patient(\d{3})_frame\d+(_slice_\d+)?")


def acdc_preprocessed_parts(directory: Path) -> Parts:
    """Data lists of the archive of MT-UNet and CASCADE: training and validation are slices, test items are volumes.

    Args:
        directory: folder with ``train``, ``valid`` and ``test``; where it has the published lists
            (``lists_ACDC/train.txt`` and others, with the suffix in each line), they say which files are used.

    Returns:
        Cases by part, image and label in one file; ``group`` is the patient.

    Raises:
        ValueError: no such folders, files of other names, listed files that are missing.
    """
    names = {"training": "train", "validation": "valid", "test": "test"}
    if not any((directory / name).is_dir() for name in names.values()):
        raise ValueError(
            f"{directory}: has no folders train/, valid/ and test/, expected the archive of MT-UNet and CASCADE "
            "(train/case_001_sliceED_0.npz, test/case_002_volume_ED.npz); for volumes as downloaded use dataset 'acdc'"
        )
    problems = Problems(str(directory))
    parts: Parts = {"training": [], "test": []}
    for part, name in names.items():
        folder = directory / name
        if folder.is_dir():
            listed = listed_files(directory, ("lists_ACDC", "lists/lists_ACDC", ""), f"{name}.txt")
            cases = [_case(path, _MTUNET, problems) for path in preprocessed_in(folder, listed, problems)]
            parts[part] = [case for case in cases if case is not None]
    problems.raise_if_any()
    report_counts(directory, parts, _EXPECTED)
    return parts


def acdc_ssl4mis_parts(directory: Path) -> Parts:
    """Data lists of SSL4MIS: training items are slices (``slices/*.h5``), validation and test items are volumes.

    With a fold the training slices are folded by patient, and validation items are slices then.

    Args:
        directory: folder with ``slices`` and the volumes, or above it (``data``); where it has the published lists
            (``train_slices.list``, ``val.list``, ``test.list``), they say which files are used, otherwise the
            published numbers of the patients do.

    Returns:
        Cases by part, image and label in one file; ``group`` is the patient.

    Raises:
        ValueError: no such files, files of other names, listed files that are missing.
    """
    folder = next((f for f in (directory / "data", directory) if (f / "slices").is_dir()), None)
    if folder is None:
        raise ValueError(
            f"{directory}: has no folder slices/ or data/slices/, expected the files of SSL4MIS "
            "(data/slices/patient001_frame01_slice_1.h5, data/patient001_frame01.h5)"
        )
    problems = Problems(str(directory))
    parts: Parts = {}
    for part, name in (("training", "train_slices.list"), ("validation", "val.list"), ("test", "test.list")):
        listed = listed_files(directory, ("", "data"), name)
        files = preprocessed_in(folder / "slices" if part == "training" else folder, listed, problems)
        cases = [case for path in files if (case := _case(path, _SSL4MIS, problems)) is not None]
        if listed is None:
            cases = [case for case in cases if part_of_patient(int(case["group"][-3:]), "ssl4mis") == part]
        parts[part] = cases
    problems.raise_if_any()
    return parts


def _case(path: Path, pattern: re.Pattern[str], problems: Problems) -> Case | None:
    match = pattern.fullmatch(preprocessed_stem(path))
    if match is None:
        problems.add("files of other names", str(path), f"expected names of the form {pattern.pattern}")
        return None
    group = f"patient{match[1]}"
    return {"image": str(path), "label": str(path), "case": preprocessed_stem(path), "group": group}


DATASETS = {
    "acdc_archive": DataSet(
        lambda directory, options: acdc_preprocessed_parts(directory),
        "preprocessed",
        title="ACDC as MT-UNet and CASCADE prepared it (.npz)",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=ACDC_CLASSES,
        expected=_EXPECTED,
    ),
    "acdc_ssl4mis": DataSet(
        lambda directory, options: acdc_ssl4mis_parts(directory),
        "preprocessed",
        title="ACDC as SSL4MIS prepared it (.h5)",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=ACDC_CLASSES,
    ),
}
