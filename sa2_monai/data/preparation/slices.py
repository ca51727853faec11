# SPDX-License-Identifier: Apache-2.0
"""Preparation of volumes as images: chosen axial slices as PNG, with their labels, split by patient."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sa2_monai.data.dataset import Job
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.preparation.axial import GREY, axial_slices
from sa2_monai.data.preparation.cache import write_png
from sa2_monai.data.preparation.folder import prepared_parts_of
from sa2_monai.data.splits import kfold, split_test
from sa2_monai.io.problems import listing
from sa2_monai.io.volumes.read import read_volume

__all__ = ["default_sections", "slice_jobs", "sliced_parts", "write_slices"]

_SEED, _TEST, _FOLDS = 999, 0.2, 5


def default_sections(names: Sequence[str]) -> dict[str, str]:
    """Split of patients for data sets that publish none, the one that :func:`~sa2_monai.data.load_parts` makes.

    Args:
        names: names of the patients, each once.

    Returns:
        Part by name: a fifth is ``test``, a fifth of the others ``validation``. Fewer than three are all ``training``.
    """
    sections = dict.fromkeys(names, "training")
    if len(names) < 3:
        return sections
    rest, held_out = split_test(names, _TEST, _SEED)
    sections.update({names[i]: "test" for i in held_out})
    for i in kfold(len(rest), min(_FOLDS, len(rest)), _SEED)[0][1]:
        sections[names[rest[i]]] = "validation"
    return sections


def slice_jobs(
    cases: Sequence[Case], intensity: str, classes: int, choose: Callable[[Case], list[int]] | None = None
) -> list[Job]:
    """One job per volume.

    Args:
        cases: ``image``, ``label`` and ``case``, each a patient.
        intensity: a key of :data:`~sa2_monai.data.preparation.axial.GREY`.
        classes: number of classes; other label values are an error.
        choose: function of a case that gives the numbers of the slices; ``None`` takes all of them. It is called in the
            order of the cases.
    """
    sections = default_sections([str(case["case"]) for case in cases])
    return [
        Job(
            case["case"],
            (Path(case["image"]), Path(case["label"])),
            write_slices,
            {
                "section": sections[case["case"]],
                "intensity": intensity,
                "slices": "all" if choose is None else choose(case),
                "classes": classes,
            },
        )
        for case in cases
    ]


def write_slices(job: Job, folder: Path) -> list[Case]:
    """Write the slices of one volume: ``images/<case>_<slice>.png`` and ``labels/<case>_<slice>.png``.

    Args:
        job: made by :func:`slice_jobs`.
        folder: folder of the preparation.

    Returns:
        Entries of the data list, the patient as ``group``.

    Raises:
        ValueError: files that cannot be read, that are of different shape, or labels of unknown value.
    """
    image, label = (axial_slices(read_volume(path, label=index == 1)) for index, path in enumerate(job.sources))
    if image.shape != label.shape:
        raise ValueError(
            f"{job.sources[1]}: has the shape {label.shape} (slices, rows, columns), its image {image.shape}; expected "
            "the label of this image"
        )
    unknown = sorted(set(np.unique(label).tolist()) - set(range(job.options["classes"])))
    if unknown:
        raise ValueError(
            f"{job.sources[1]}: holds the values {listing([str(value) for value in unknown], 8)}, expected 0 to "
            f"{job.options['classes'] - 1}; copy the file again"
        )
    grey = GREY[job.options["intensity"]](image)
    chosen = range(len(image)) if job.options["slices"] == "all" else job.options["slices"]
    cases = []
    for k in chosen:
        name = f"{job.name}_{k:03d}"
        files = {"image": f"images/{name}.png", "label": f"labels/{name}.png"}
        write_png(folder / files["image"], grey(image[k]))
        write_png(folder / files["label"], np.ascontiguousarray(label[k]).astype(np.uint8))
        cases.append({**files, "case": name, "group": job.name, "section": job.options["section"]})
    return cases


def sliced_parts(directory: Path, name: str) -> Parts:
    """Data lists of a folder of slices.

    Args:
        directory: folder that ``sa2-monai datasets prepare`` wrote.
        name: data set that was prepared.

    Returns:
        Cases by part.

    Raises:
        ValueError: another folder, or a preparation that is not finished.
    """
    parts = prepared_parts_of(directory, name)
    if parts is None:
        description = directory / "dataset.json"
        try:
            found = f"the dataset.json of {json.loads(description.read_text(encoding='utf-8'))['name']!r}"
        except (OSError, ValueError, KeyError, TypeError):
            found = "no such dataset.json"
        raise ValueError(
            f"{directory}: has {found}, expected the folder of slices OUT that 'sa2-monai datasets prepare {name} DIR "
            f"OUT' makes of the volumes in DIR; to train on the volumes themselves use dataset {name!r}"
        )
    return parts
