# SPDX-License-Identifier: Apache-2.0
"""Cardiac MR of the ACDC challenge, as downloaded: end of diastole and of systole of 150 patients.

Homepage: https://www.creatis.insa-lyon.fr/Challenge/acdc/

Licence: for research, as stated on the homepage; not redistributed here.

Citation: Bernard, Lalande, Zotti et al., "Deep Learning Techniques for Automatic MRI Cardiac Multi-structures
Segmentation and Diagnosis: Is the Problem Solved?", IEEE Transactions on Medical Imaging 37 (2018) 2514-2525.

As downloaded: ``training/patient001/`` to ``patient100``, ``testing/patient101/`` to ``patient150``, each with
``Info.cfg`` (which frame is end of diastole, ED, and end of systole, ES), ``patient001_frame01.nii.gz`` and
``patient001_frame01_gt.nii.gz``.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from sa2_monai.data.dataset import DataSet
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.nested import folders_below
from sa2_monai.io.problems import Problems

__all__ = [
    "ACDC_CLASSES",
    "ACDC_SPLITS",
    "CITATION",
    "DATASETS",
    "HOMEPAGE",
    "LICENCE",
    "acdc_parts",
    "part_of_patient",
]

logger = logging.getLogger(__name__)

HOMEPAGE = "https://www.creatis.insa-lyon.fr/Challenge/acdc/"
LICENCE = "research use, see the homepage"
CITATION = "Bernard et al., IEEE Transactions on Medical Imaging 37 (2018) 2514-2525"

#: Classes by value in the label files.
ACDC_CLASSES = ("background", "right ventricle", "myocardium", "left ventricle")

#: Patients of the published splits of the 100 training patients, by name of the split; the others are ``training``.
ACDC_SPLITS: dict[str, dict[str, tuple[int, ...]]] = {
    "mtunet": {
        "validation": (19, 21, 29, 33, 41, 50, 61, 71, 76, 80),
        "test": (2, 3, 8, 9, 12, 14, 17, 24, 42, 48, 49, 53, 55, 64, 67, 79, 81, 88, 92, 95),
    },
    "ssl4mis": {
        "validation": (2, 19, 28, 30, 39, 45, 78, 82, 85, 87),
        "test": (1, 7, 8, 11, 13, 22, 24, 33, 52, 59, 64, 65, 66, 68, 75, 80, 81, 83, 84, 93),
    },
}

_PATIENT = re.compile(r"patient(\d{3})")
_PHASES = ("ED", "ES")


def acdc_parts(directory: Path, split: str | None = None) -> Parts:
    """Data lists of the volumes as downloaded.

    Args:
        directory: folder that holds ``training`` (and ``testing``), also up to two levels below, or the patients'
            folders.
        split: ``"mtunet"`` (``None``: 70 training, 10 validation and 20 test patients out of the 100 training
            patients, the split of the TransUNet line), ``"ssl4mis"`` (the same numbers, other patients), or
            ``"official"`` (100 training and 50 test patients; validation by the folds).

    Returns:
        Cases ``patient001_ED`` and ``patient001_ES`` by part, only parts that have some; ``group`` is the patient.

    Raises:
        ValueError: unknown split, no patients (of the split), or folders that lack a file; all of them are named.
    """
    asked, split = split, split or "mtunet"
    if split != "official" and split not in ACDC_SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join([*ACDC_SPLITS, 'official'])}")
    folders = _patient_folders(directory)
    problems = Problems(str(directory))
    parts: Parts = {"training": [], "test": []} if split == "official" else {p: [] for p in _PARTS}
    for number, folder in sorted(folders.items()):
        if split == "official":
            parts["training" if number <= 100 else "test"] += _patient(folder, problems)
        elif number <= 100:
            parts[part_of_patient(number, split)] += _patient(folder, problems)
    problems.raise_if_any()
    expected = 150 if split == "official" else 100
    found = sum(number <= expected for number in folders)
    if not found:
        raise ValueError(
            f"{directory}: holds only patients of the official test part ({len(folders)}), and the split {split!r} is "
            "one of patient001 to patient100; add these, or evaluate with split 'official'"
        )
    if found < expected:
        logger.warning(
            "%s: %d patients, the split %r of the published data set has %d", directory, found, split, expected
        )
    if asked is None and found > 2 and len({str(case["group"]) for p in _PARTS[:2] for case in parts[p]}) == 1:
        # A handful of patients to try things out with. Without any to train on, the test patients are for evaluation.
        logger.warning("%s: too few of them for the parts of %r; the parts are drawn by patient", directory, split)
        parts = {"training": sorted((c for cases in parts.values() for c in cases), key=lambda case: str(case["case"]))}
    # A part that none of the patients is of is made from the others, as where a data set lists none.
    return {part: cases for part, cases in parts.items() if cases}


def part_of_patient(number: int, split: str) -> str:
    """Part of a published split that one of the 100 training patients stands in.

    Args:
        number: number of the patient.
        split: a key of :data:`ACDC_SPLITS`.
    """
    return next((part for part, numbers in ACDC_SPLITS[split].items() if number in numbers), "training")


_PARTS = ("training", "validation", "test")


def _patient_folders(directory: Path) -> dict[int, Path]:
    for base in folders_below(directory, levels=2):
        for names in (("training", "testing"), ("train", "test"), ("",)):
            inside = [base / name for name in names if (base / name).is_dir()]
            found = {
                int(match[1]): path
                for folder in inside
                for path in sorted(folder.iterdir())
                if path.is_dir() and (match := _PATIENT.fullmatch(path.name))
            }
            if found:
                return found
    raise ValueError(
        f"{directory}: has no folders patient001, ..., expected database/training and database/testing as downloaded "
        f"from {HOMEPAGE}; for preprocessed files use dataset 'acdc_archive' (npz) or 'acdc_ssl4mis' (h5)"
    )


def _patient(folder: Path, problems: Problems) -> list[Case]:
    frames = _frames(folder / "Info.cfg", problems)
    cases = []
    for phase, frame in frames.items():
        stem = f"{folder.name}_frame{frame:02d}"
        case: Case = {}
        for key, name in (("image", stem), ("label", f"{stem}_gt")):
            path = next((p for suffix in (".nii.gz", ".nii") if (p := folder / f"{name}{suffix}").is_file()), None)
            if path is None and key == "label" and int(folder.name[-3:]) > 100:
                continue  # earlier releases keep the labels of the test patients to themselves
            if path is None:
                problems.add(
                    f"missing {key} files", f"{folder / name}.nii.gz ({phase} of Info.cfg)", "unpack the archive again"
                )
            else:
                case[key] = str(path)
        cases.append({**case, "case": f"{folder.name}_{phase}", "group": folder.name})
    return cases


def _frames(path: Path, problems: Problems) -> dict[str, int]:
    """Frame number by phase, from ``Info.cfg``."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        problems.add("unreadable Info.cfg files", f"{path}: {error.strerror}", "unpack the archive again")
        return {}
    found = {phase: re.search(rf"^\s*{phase}\s*[:=]\s*(\d+)\s*$", text, re.MULTILINE) for phase in _PHASES}
    missing = [phase for phase, match in found.items() if match is None]
    if missing:
        problems.add(
            "Info.cfg files without a frame number",
            f"{path}: no line such as '{missing[0]}: 1'",
            "unpack the archive again; ED and ES say which frames are labelled",
        )
        return {}
    return {phase: int(match[1]) for phase, match in found.items() if match is not None}


DATASETS = {
    "acdc": DataSet(
        lambda directory, options: acdc_parts(directory, options.split),
        "volumes",
        title="ACDC: ventricles and myocardium in short-axis cine MR",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=ACDC_CLASSES,
        splits=(*ACDC_SPLITS, "official"),
    )
}
