# SPDX-License-Identifier: Apache-2.0
"""ATLAS: liver and liver tumours in contrast-enhanced MR, as downloaded, and as slices (not the stroke set ATLAS).

Homepage: https://atlas-challenge.u-bourgogne.fr

Licence: for research after registration, see the homepage; not redistributed here.

Citation: Quinton, Popoff, Presles et al., "A Tumour and Liver Automatic Segmentation (ATLAS) Dataset on
Contrast-Enhanced Magnetic Resonance Imaging for Hepatocellular Carcinoma", Data 8 (2023) 79.

As downloaded: ``atlas-train-dataset-1.0.1/train/{imagesTr/im0.nii.gz, labelsTr/lb0.nii.gz}``, 60 patients with labels.
There is no published split of them: the cases are split by the seed.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from sa2_monai.data.dataset import DataSet, Job, ListOptions, Preparation, report_counts
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.preparation.axial import number_of_slices
from sa2_monai.data.preparation.slices import slice_jobs, sliced_parts
from sa2_monai.io.names import volume_stem, volumes_in
from sa2_monai.io.problems import Problems
from sa2_monai.io.volumes.read import volume_header

__all__ = ["ATLAS_CLASSES", "CITATION", "DATASETS", "EXPECTED", "HOMEPAGE", "LICENCE", "atlas_parts"]

HOMEPAGE = "https://atlas-challenge.u-bourgogne.fr"
LICENCE = "research use after registration, see the homepage"
CITATION = "Quinton et al., Data 8 (2023) 79"
#: Classes by value in the label files.
ATLAS_CLASSES = ("background", "liver", "tumour")
#: Number of patients with labels, as published.
EXPECTED: dict[str, tuple[int, ...]] = {"training": (60,)}

_GAP = 4
_FOLDERS = ("", "train", "atlas-train-dataset-1.0.1/train", "atlas-train-dataset-1.0.1")


def atlas_parts(directory: Path) -> Parts:
    """Data lists of the volumes as downloaded; all cases are ``training``, which the seed splits further.

    Args:
        directory: folder that holds ``imagesTr`` and ``labelsTr``, or one above it.

    Returns:
        Cases ``im0``, ``im1``, ..., each a patient (``group``).

    Raises:
        ValueError: no such folders, files of other names, a missing partner; all of them are named.
    """
    folder = next((f for name in _FOLDERS if ((f := directory / name) / "imagesTr").is_dir()), None)
    if folder is None or not (folder / "labelsTr").is_dir():
        raise ValueError(
            f"{directory}: has no imagesTr/ and labelsTr/, expected train/imagesTr/im0.nii.gz and "
            f"train/labelsTr/lb0.nii.gz as downloaded from {HOMEPAGE}; for slices that were prepared use dataset "
            "'atlas_slices'"
        )
    problems = Problems(str(folder))
    images = _by_number(folder / "imagesTr", "im", problems)
    labels = _by_number(folder / "labelsTr", "lb", problems)
    for number in sorted(images.keys() - labels.keys()):
        problems.add("images without a label", str(images[number]), f"copy labelsTr/lb{number}.nii.gz again")
    for number in sorted(labels.keys() - images.keys()):
        problems.add("labels without an image", str(labels[number]), f"copy imagesTr/im{number}.nii.gz again")
    if not images:
        problems.add("no images", str(folder / "imagesTr"), "unpack the archive again")
    problems.raise_if_any()
    cases: list[Case] = [
        {"image": str(images[n]), "label": str(labels[n]), "case": f"im{n}", "group": f"im{n}"} for n in sorted(images)
    ]
    report_counts(directory, {"training": cases}, EXPECTED)
    return {"training": cases}


def _by_number(folder: Path, prefix: str, problems: Problems) -> dict[int, Path]:
    table: dict[int, Path] = {}
    for path in volumes_in(folder):
        match = re.fullmatch(rf"{prefix}(\d+)", volume_stem(path))
        if match is None:
            problems.add(
                "files of other names",
                str(path),
                "expected im0.nii.gz and lb0.nii.gz; move others away, or use dataset 'volumes'",
            )
        elif (other := table.setdefault(int(match[1]), path)) != path:
            problems.add("two files of one case", f"{other} and {path.name}", "keep one of them")
    return table


def _every_fourth(case: Case) -> list[int]:
    number = number_of_slices(volume_header(case["image"]))
    return sorted({*range(0, number, _GAP), number - 1})


def _jobs(directory: Path, options: ListOptions, intensity: str, published: bool) -> list[Job]:
    cases = atlas_parts(directory)["training"]
    return slice_jobs(cases, intensity, len(ATLAS_CLASSES), _every_fourth if published else None)


_ATLAS: dict[str, Any] = {
    "homepage": HOMEPAGE,
    "licence": LICENCE,
    "citation": CITATION,
    "classes": ATLAS_CLASSES,
}
DATASETS = {
    "atlas": DataSet(
        lambda directory, options: atlas_parts(directory),
        "volumes",
        title="ATLAS: liver and tumours in contrast-enhanced MR",
        expected=EXPECTED,
        preparations={
            "svanet-2d": Preparation(
                "every 4th slice and the last, divided by the maximum of the slice (SvANet's choice, as PNG)",
                "images",
                partial(_jobs, intensity="maximum of the slice", published=True),
            ),
            "slices": Preparation(
                "all slices, from the percentile 0.5 to 99.5 of the volume",
                "images",
                partial(_jobs, intensity="percentiles 0.5 and 99.5 of the volume", published=False),
            ),
        },
        **_ATLAS,
    ),
    "atlas_slices": DataSet(
        lambda directory, options: sliced_parts(directory, "atlas"),
        title="ATLAS as slices that 'sa2-monai datasets prepare atlas' made",
        **_ATLAS,
    ),
}
