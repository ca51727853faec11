# SPDX-License-Identifier: Apache-2.0
"""The embedded volumes: a small multi-organ CT set with exact masks, the same everywhere for a seed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.random import RandomState

from sa2_monai.data.samples.ct import ORGANS, draw_grid, paint_volume
from sa2_monai.data.samples.folder import PARTS, PREFIX, check_numbers, is_current, make_folder

__all__ = ["make_sample_volumes", "sample_volumes_are_current"]

_VERSION = 1  # changes whenever other voxels come out of the same seed

# In turn: order of the axes in the file (sides that they run to), and the organ that is missing in every third case.
_STORED = ("LPS", "RAS", "SPL", "LAS", "ASR", "RPI")
_MISSING = ("spleen", "left kidney", "right kidney")
_STRAIGHT = 4  # one of so many is not oblique

_README = """# Sample of synthetic abdominal CT

Made by `sa2-monai sample --volumes` (sa2_monai.data.make_sample_volumes), seed {seed}: {counts}, from {size} voxels.
These are painted bodies, no patients and no scanner; scores on them say that software works, not how well a network
finds organs.

- `images/`: NIfTI, int16, HU; noise, partial volume, contrast that organs share with each other and with their
  surroundings
- `labels/`: NIfTI, uint8, {labels}; exact
- spacing about 2 x 2 x 4.5 mm, other in every case; three of four volumes are oblique (3 to 12 degrees); the axes are
  stored in the orders {stored}
- one organ is missing in every third case of each part
- `dataset.json`: the three parts, which come from separate streams of random numbers; `group` is the patient

Licence: CC0 1.0, generated data without claims.
"""


def make_sample_volumes(
    output_dir: str | os.PathLike[str],
    seed: int = 0,
    *,
    num_training: int = 12,
    num_validation: int = 3,
    num_test: int = 6,
    size: tuple[int, int, int] = (96, 96, 24),
    force: bool = False,
) -> Path:
    """Make the embedded volumes, or reuse them if the same ones are there.

    Layout: ``images/`` (int16, HU), ``labels/`` (uint8, indices of :data:`~sa2_monai.data.samples.ct.ORGANS`),
    ``dataset.json`` (decathlon, with ``case`` and ``group``) and ``README.md``. Everything is made beside the folder
    and moved in at the end: an interrupted run leaves nothing.

    Args:
        output_dir: folder, made if missing.
        seed: 0 to 2**32 - 1; the same seed gives the same voxels on every machine.
        num_training: number of training volumes, at least 1.
        num_validation: number of validation volumes.
        num_test: number of test volumes.
        size: least number of voxels along left, back, head, each 24 to 512, 8 to 512 slices; cases have up to a sixth
            more to the left and a third more slices. The bodies are as large with more voxels, these are smaller.
        force: write even if the folder holds something else. Files of a former sample are removed, others stay.

    Returns:
        The folder.

    Raises:
        ValueError: arguments out of range.
        FileExistsError: the folder holds something else, or a damaged or different sample.
        OSError: the folder cannot be written.
    """
    counts = {"training": num_training, "validation": num_validation, "test": num_test}
    parameters = _parameters(seed, counts, size)
    return make_folder(Path(output_dir), parameters, lambda made: _write_volumes(made, seed, counts, size), force)


def sample_volumes_are_current(
    output_dir: str | os.PathLike[str],
    seed: int = 0,
    *,
    num_training: int = 12,
    num_validation: int = 3,
    num_test: int = 6,
    size: tuple[int, int, int] = (96, 96, 24),
) -> bool:
    """Whether a folder holds the volumes of these parameters, every file with its checksum.

    Args:
        output_dir: see :func:`make_sample_volumes`, as all the others.
        seed: seed.
        num_training: number of training volumes.
        num_validation: number of validation volumes.
        num_test: number of test volumes.
        size: least number of voxels.

    Raises:
        ValueError: arguments out of range.
    """
    counts = {"training": num_training, "validation": num_validation, "test": num_test}
    return is_current(Path(output_dir), _parameters(seed, counts, size))


def _parameters(seed: int, counts: dict[str, int], size: tuple[int, int, int]) -> dict[str, Any]:
    check_numbers(seed, counts, "volumes")
    if len(size) != 3 or not all(low <= n <= 512 for low, n in zip((24, 24, 8), size, strict=True)):
        raise ValueError(
            f"size is {tuple(size)}, expected voxels along left, back and head: 24 to 512 twice, 8 to 512 slices"
        )
    return {"kind": "volumes", "version": _VERSION, "seed": seed, "size": list(size), **counts}


def _write_volumes(folder: Path, seed: int, counts: dict[str, int], size: tuple[int, int, int]) -> str:
    for name in ("images", "labels"):
        (folder / name).mkdir()
    voxels = hashlib.sha256()
    cases: dict[str, list[dict[str, str]]] = {part: [] for part in PARTS}
    for number, part in enumerate(PARTS):
        for index in range(counts[part]):
            rng = RandomState([seed, number, index])
            grid = draw_grid(size, rng, oblique=index % _STRAIGHT > 0)
            missing = _MISSING[index // 3 % len(_MISSING)] if index % 3 == 1 else None
            image, label = paint_volume(grid, rng, missing)
            name = f"{PREFIX[part]}_{index:03d}"
            case = {"case": name, "group": f"patient_{name}"}
            for key, array in {"image": image, "label": label}.items():
                case[key] = f"{key}s/{name}.nii.gz"
                stored = _stored(array, grid.affine, _STORED[index % len(_STORED)])
                nib.save(stored, folder / case[key])
                voxels.update(np.asarray(stored.dataobj).astype(array.dtype.newbyteorder("<")).tobytes())
            cases[part].append(case)
    labels = {str(value): name for value, name in enumerate(ORGANS)}
    description = {
        "name": "sa2_monai sample volumes",
        "description": f"synthetic abdominal CT with four organs, seed {seed}",
        "licence": "CC0-1.0",
        "modality": {"0": "CT"},
        "labels": labels,
        "tensorImageSize": "3D",
        "numTraining": counts["training"],
        "numValidation": counts["validation"],
        "numTest": counts["test"],
        **cases,
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    readme = _README.format(
        seed=seed,
        counts=", ".join(f"{counts[part]} {part}" for part in PARTS),
        size=" x ".join(map(str, size)),
        labels=", ".join(f"{value} {name}" for value, name in labels.items()),
        stored=", ".join(_STORED),
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return voxels.hexdigest()


def _stored(array: np.ndarray, affine: np.ndarray, axcodes: str) -> nib.Nifti1Image:
    """The same voxels at the same places with the axes in another order."""
    image = nib.Nifti1Image(array, affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(axcodes)
    )
    image = image.as_reoriented(turn)
    image.header.set_xyzt_units("mm")
    image.set_qform(image.affine, code=1)
    # A quaternion in single precision is some micrometres off; both forms shall say the same.
    image.set_sform(image.get_qform(), code=1)
    return image
