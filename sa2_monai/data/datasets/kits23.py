# SPDX-License-Identifier: Apache-2.0
"""KiTS23: kidneys with tumours and cysts in contrast-enhanced CT, as downloaded, and as slices.

Homepage: https://kits-challenge.org/kits23/

Licence: CC BY-NC-SA 4.0; not redistributed here.

Citation: Heller, Isensee, Trofimova et al., "The KiTS21 Challenge: Automatic segmentation of kidneys, renal tumors, and
renal cysts in corticomedullary-phase CT", arXiv:2307.01984 (2023).

As downloaded: ``dataset/case_00000/{imaging,segmentation}.nii.gz``, 489 cases of the numbers 0 to 299 and 400 to 588;
the images are fetched by the data set's own script. The first axis of the arrays counts the slices, and the affine says
so. There is no published split into training and test: the cases are split by the seed.
"""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.data.dataset import DataSet, Job, ListOptions, Preparation, report_counts
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.preparation.axial import number_of_slices
from sa2_monai.data.preparation.slices import slice_jobs, sliced_parts
from sa2_monai.io.problems import Problems
from sa2_monai.io.volumes.read import volume_header

__all__ = ["CITATION", "DATASETS", "EXPECTED", "HOMEPAGE", "KITS_CLASSES", "LICENCE", "chosen_slices", "kits23_parts"]

HOMEPAGE = "https://kits-challenge.org/kits23/"
LICENCE = "CC BY-NC-SA 4.0"
CITATION = "Heller et al., The KiTS21 Challenge, arXiv:2307.01984 (2023)"
#: Classes by value in the label files.
KITS_CLASSES = ("background", "kidney", "tumour", "cyst")
#: Number of cases, as published.
EXPECTED: dict[str, tuple[int, ...]] = {"training": (489,)}

_CASE = re.compile(r"case_\d{5}")
_SEED, _SHARE, _RANGE = 999, 0.02, (0.15, 0.85)


def kits23_parts(directory: Path) -> Parts:
    """Data lists of the volumes as downloaded; all cases are ``training``, which the seed splits further.

    Args:
        directory: folder that holds ``dataset`` with the folders of the cases, or these folders.

    Returns:
        Cases ``case_00000``, ..., each a patient (``group``).

    Raises:
        ValueError: no such folders, or cases that lack a file; all of them are named.
    """
    folders = next(
        (
            found
            for base in (directory / "dataset", directory, directory / "kits23" / "dataset")
            if base.is_dir() and (found := sorted(p for p in base.iterdir() if p.is_dir() and _CASE.fullmatch(p.name)))
        ),
        None,
    )
    if folders is None:
        raise ValueError(
            f"{directory}: has no folders case_00000, ..., expected dataset/case_00000/{{imaging,segmentation}}.nii.gz "
            f"as downloaded from {HOMEPAGE}; for slices that were prepared use dataset 'kits23_slices'"
        )
    problems = Problems(str(directory))
    cases: list[Case] = []
    for folder in folders:
        case: Case = {}
        for key, stem, hint in (
            ("image", "imaging", "fetch the images with the data set's own download script"),
            ("label", "segmentation", "copy the data set's repository again"),
        ):
            path = next((p for suffix in (".nii.gz", ".nii") if (p := folder / f"{stem}{suffix}").is_file()), None)
            if path is None:
                problems.add(f"missing {key} files", f"{folder / stem}.nii.gz", hint)
            case[key] = str(path)
        cases.append({**case, "case": folder.name, "group": folder.name})
    problems.raise_if_any()
    report_counts(directory, {"training": cases}, EXPECTED)
    return {"training": cases}


def chosen_slices(number: int, generator: np.random.RandomState) -> list[int]:
    """Slices that SvANet's preparation takes of a volume: 2 % of them, drawn from its middle.

    Args:
        number: number of slices.
        generator: drawn from; the published program seeds it once with 999 and goes through the cases by name, so that
            the choice is that of the publication where all cases are there.

    Returns:
        Their numbers, ascending.
    """
    middle = range(round(number * _RANGE[0]), round(number * _RANGE[1]))
    return sorted(generator.choice(middle, math.ceil(number * _SHARE), replace=False).tolist())


def _jobs(directory: Path, options: ListOptions, intensity: str, published: bool) -> list[Job]:
    generator = np.random.RandomState(_SEED)

    def choose(case: Case) -> list[int]:
        return chosen_slices(number_of_slices(volume_header(case["image"])), generator)

    cases = kits23_parts(directory)["training"]
    return slice_jobs(cases, intensity, len(KITS_CLASSES), choose if published else None)


_KITS: dict[str, Any] = {
    "homepage": HOMEPAGE,
    "licence": LICENCE,
    "citation": CITATION,
    "classes": KITS_CLASSES,
}
DATASETS = {
    "kits23": DataSet(
        lambda directory, options: kits23_parts(directory),
        "volumes",
        title="KiTS23: kidneys, tumours and cysts in CT",
        expected=EXPECTED,
        preparations={
            "svanet-2d": Preparation(
                "2 % of the slices, Hounsfield units cut off outside 0 to 255 (SvANet's choice, as PNG)",
                "images",
                partial(_jobs, intensity="cut off outside 0 to 255", published=True),
            ),
            "slices": Preparation(
                "all slices, window of -79 to 304 Hounsfield units",
                "images",
                partial(_jobs, intensity="window -79 to 304", published=False),
            ),
        },
        **_KITS,
    ),
    "kits23_slices": DataSet(
        lambda directory, options: sliced_parts(directory, "kits23"),
        title="KiTS23 as slices that 'sa2-monai datasets prepare kits23' made",
        **_KITS,
    ),
}
