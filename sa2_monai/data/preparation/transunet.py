# SPDX-License-Identifier: Apache-2.0
"""Preparation of Synapse as TransUNet has it: slices of the training cases (.npz), volumes of the test cases (.h5)."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.data.checks.label_counts import count_values
from sa2_monai.data.dataset import Job
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.preparation.preprocessed_writer import write_h5, write_npz
from sa2_monai.data.preparation.synapse_labels import check_numbering
from sa2_monai.data.preparation.transunet_form import canonical, mapped, orient, scaled
from sa2_monai.io.volumes.read import read_volume

__all__ = ["ORIENTATION", "ORIENTATION_FILE", "preprocessed_jobs", "read_orientation", "write_preprocessed"]

logger = logging.getLogger(__name__)

#: Orientation where nothing better is known: that of MMSegmentation's converter, which was written to match TransUNet's
#: archive, for files stored left-anterior-superior as those of Synapse are. No file of the archive has confirmed it.
ORIENTATION: dict[str, Any] = {"transpose": False, "flip": [], "reverse_z": False, "relative_to": "LPS"}
#: File of the data set's folder with the result of :func:`~sa2_monai.data.calibrate`.
ORIENTATION_FILE = "orientation.json"


def preprocessed_jobs(directory: Path, parts: Parts, label_values: dict[int, int]) -> list[Job]:
    """One job per volume.

    Args:
        directory: the data set's folder; where it has an ``orientation.json``, the slices are turned so.
        parts: ``training`` and ``test`` as downloaded.
        label_values: table raw value -> class.

    Raises:
        ValueError: an ``orientation.json`` that says none.
    """
    orientation = read_orientation(directory)
    if orientation is None:
        logger.warning(
            "%s: has no %s (result of sa2_monai.data.calibrate), the orientation of the slices is unverified",
            directory,
            ORIENTATION_FILE,
        )
    options = {
        "orientation": orientation or ORIENTATION,
        "orientation_verified": orientation is not None,
        "label_values": {str(value): index for value, index in label_values.items()},
    }
    return [
        Job(case["case"], (Path(case["image"]), Path(case["label"])), write_preprocessed, {**options, "section": part})
        for part in ("training", "test")
        for case in parts.get(part, [])
    ]


def read_orientation(directory: Path) -> dict[str, Any] | None:
    """Orientation in the ``orientation.json`` of a folder.

    Args:
        directory: the folder.

    Returns:
        What :func:`~sa2_monai.data.calibrate` returned; ``None`` where there is no such file.

    Raises:
        ValueError: the file says no orientation.
    """
    path = directory / ORIENTATION_FILE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        read = {
            "transpose": found["transpose"],
            "flip": sorted(found["flip"]),
            "reverse_z": found["reverse_z"],
            "relative_to": found["relative_to"],
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: is no result of sa2_monai.data.calibrate ({error}); calibrate again") from error
    booleans = isinstance(read["transpose"], bool) and isinstance(read["reverse_z"], bool)
    if not booleans or read["flip"] not in ([], [0], [1], [0, 1]) or read["relative_to"] != "LPS":
        raise ValueError(f"{path}: holds {found}, expected {ORIENTATION} or others of the kind; calibrate again")
    return read


def write_preprocessed(job: Job, folder: Path) -> list[Case]:
    """Write one volume: ``train_npz/<case>_slice000.npz``, ..., or ``test_vol_h5/<case>.npy.h5``.

    Args:
        job: made by :func:`preprocessed_jobs`.
        folder: folder of the preparation.

    Returns:
        Entries of the data list; image and label are one file.

    Raises:
        ValueError: files that cannot be read, that are of different shape, or labels outside the table or of another
            numbering.
        ImportError: h5py is missing (extra ``archives``).
    """
    table = {int(value): index for value, index in job.options["label_values"].items()}
    label = read_volume(job.sources[1], label=True)
    wrong = check_numbering(count_values(label.array), table)  # a table applied twice exchanges organs silently
    if wrong is not None:
        raise ValueError(f"{job.sources[1]}: {wrong[0]} ({wrong[1]}); give the labels as downloaded")
    arrays = {"image": scaled(canonical(read_volume(job.sources[0]))), "label": mapped(label, table)}
    if arrays["image"].shape != arrays["label"].shape:
        raise ValueError(
            f"{job.sources[1]}: has the shape {arrays['label'].shape} (LPS), its image {arrays['image'].shape}; "
            "expected the label of this image"
        )
    # Slices first, all in float32, as the archive has them.
    arrays = {
        key: np.moveaxis(orient(array, job.options["orientation"]), 2, 0).astype(np.float32)
        for key, array in arrays.items()
    }
    files = {}
    if job.options["section"] == "test":
        files[job.name] = f"test_vol_h5/{job.name}.npy.h5"
        write_h5(folder / files[job.name], arrays)
    else:
        for k in range(len(arrays["image"])):
            name = f"{job.name}_slice{k:03d}"
            files[name] = f"train_npz/{name}.npz"
            write_npz(folder / files[name], {key: array[k] for key, array in arrays.items()})
    return [
        {"image": file, "label": file, "case": name, "group": job.name, "section": job.options["section"]}
        for name, file in files.items()
    ]
