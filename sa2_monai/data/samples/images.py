# SPDX-License-Identifier: Apache-2.0
"""The embedded sample: a small microscopy data set with exact masks and instances, the same everywhere for a seed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState
from PIL import Image

from sa2_monai.data.samples.folder import PARTS, PREFIX, check_numbers, is_current, make_folder
from sa2_monai.data.samples.microscopy import paint

__all__ = ["make_sample", "sample_is_current"]

_VERSION = 1  # changes whenever other pixels come out of the same seed
# Kinds in turn: half stained tissue, five twelfths fluorescence, one twelfth light background; the first three
# images of every part show all kinds.
_TURN = ("he", "fluo", "bf", "he", "fluo", "he", "fluo", "he", "fluo", "he", "fluo", "he")

_README = """# Sample of synthetic microscopy

Made by `sa2-monai sample` (sa2_monai.data.make_sample), seed {seed}: {counts}, {height} x {width} pixels (H x W).
These are painted images, no patients and no microscope; scores on them say that software works, not how well a
network finds nuclei in tissue.

- `images/`: PNG, 8 bit; `he_*` stained tissue (RGB), `fluo_*` fluorescence and `bf_*` light background (grey)
- `labels/`: PNG, 0 background, 255 nucleus; exact
- `instances/`: PNG, 16 bit, one number per nucleus; where nuclei overlap the lower number is kept
- `dataset.json`: the three parts, which come from separate streams of random numbers

Licence: CC0 1.0, generated data without claims.
"""


def make_sample(
    output_dir: str | os.PathLike[str],
    seed: int = 0,
    *,
    num_training: int = 48,
    num_validation: int = 8,
    num_test: int = 16,
    size: tuple[int, int] = (256, 256),
    force: bool = False,
) -> Path:
    """Make the embedded sample, or reuse it if the same one is there.

    Layout: ``images/``, ``labels/`` (0 and 255), ``instances/`` (uint16), ``dataset.json`` (decathlon) and
    ``README.md``. Everything is made beside the folder and moved in at the end: an interrupted run leaves nothing.

    Args:
        output_dir: folder, made if missing.
        seed: 0 to 2**32 - 1; the same seed gives the same pixels on every machine.
        num_training: number of training images, at least 1.
        num_validation: number of validation images.
        num_test: number of test images.
        size: (H, W) in pixels, 32 to 4096 each.
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
    return make_folder(Path(output_dir), parameters, lambda made: _write_sample(made, seed, counts, size), force)


def sample_is_current(
    output_dir: str | os.PathLike[str],
    seed: int = 0,
    *,
    num_training: int = 48,
    num_validation: int = 8,
    num_test: int = 16,
    size: tuple[int, int] = (256, 256),
) -> bool:
    """Whether a folder holds the sample of these parameters, every file with its checksum.

    Args:
        output_dir: see :func:`make_sample`, as all the others.
        seed: seed.
        num_training: number of training images.
        num_validation: number of validation images.
        num_test: number of test images.
        size: (H, W).

    Raises:
        ValueError: arguments out of range.
    """
    counts = {"training": num_training, "validation": num_validation, "test": num_test}
    return is_current(Path(output_dir), _parameters(seed, counts, size))


def _parameters(seed: int, counts: dict[str, int], size: tuple[int, int]) -> dict[str, Any]:
    check_numbers(seed, counts, "images")
    if len(size) != 2 or not all(32 <= side <= 4096 for side in size):
        raise ValueError(f"size is {tuple(size)}, expected (H, W) with 32 to 4096 pixels each")
    return {"version": _VERSION, "seed": seed, "size": list(size), **counts}


def _write_sample(folder: Path, seed: int, counts: dict[str, int], size: tuple[int, int]) -> str:
    for name in ("images", "labels", "instances"):
        (folder / name).mkdir()
    pixels = hashlib.sha256()
    cases: dict[str, list[dict[str, str]]] = {part: [] for part in PARTS}
    for number, part in enumerate(PARTS):
        for index in range(counts[part]):
            kind = _TURN[index % len(_TURN)]
            image, instances = paint(kind, size, RandomState([seed, number, index]))
            name = f"{kind}_{PREFIX[part]}_{index:03d}.png"
            arrays = {
                "image": image,
                "label": np.where(instances > 0, 255, 0).astype(np.uint8),
                "instances": instances,
            }
            case = {}
            for key, array in arrays.items():
                case[key] = f"{key.rstrip('s')}s/{name}"
                Image.fromarray(array).save(folder / case[key], format="PNG", compress_level=6)
                pixels.update(array.astype("<u2" if array.itemsize == 2 else np.uint8).tobytes())
            cases[part].append(case)
    text = ", ".join(f"{counts[part]} {part}" for part in PARTS)
    description = {
        "name": "sa2_monai sample",
        "description": f"synthetic nuclei, binary (instances in instances/), seed {seed}",
        "licence": "CC0-1.0",
        "modality": {"0": "microscopy"},
        "labels": {"0": "background", "255": "nucleus"},
        "tensorImageSize": "2D",
        "numTraining": counts["training"],
        "numValidation": counts["validation"],
        "numTest": counts["test"],
        **{part: sorted(cases[part], key=lambda case: case["image"]) for part in PARTS},
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    readme = _README.format(seed=seed, counts=text, height=size[0], width=size[1])
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return pixels.hexdigest()
