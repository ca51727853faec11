# SPDX-License-Identifier: Apache-2.0
"""The embedded sample: a small microscopy data set with exact masks and instances, the same everywhere for a seed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState
from PIL import Image

from sa2_monai.data.problems import listing
from sa2_monai.data.splits import write_atomically
from sa2_monai.data.synthetic import paint

__all__ = ["make_sample", "sample_is_current"]

logger = logging.getLogger(__name__)

_STAMP = ".sa2_monai_sample.json"
_VERSION = 1  # changes whenever other pixels come out of the same seed
_PARTS = ("training", "validation", "test")
_PREFIX = {"training": "train", "validation": "val", "test": "test"}
# Kinds in turn: half stained tissue, five twelfths fluorescence, one twelfth light background; the first three
# pictures of every part show all kinds.
_TURN = ("he", "fluo", "bf", "he", "fluo", "he", "fluo", "he", "fluo", "he", "fluo", "he")

_README = """# Sample of synthetic microscopy

Made by `sa2-monai sample` (sa2_monai.data.make_sample), seed {seed}: {counts}, {height} x {width} pixels (H x W).
These are painted pictures, no patients and no microscope; scores on them say that software works, not how well a
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
        num_training: number of training pictures, at least 1.
        num_validation: number of validation pictures.
        num_test: number of test pictures.
        size: (H, W) in pixels, 32 to 4096 each.
        force: write even if the folder holds something else. Files of a former sample are removed, others stay.

    Returns:
        The folder.

    Raises:
        ValueError: arguments out of range.
        FileExistsError: the folder holds something else, or a damaged or different sample.
        OSError: the folder cannot be written.
    """
    folder = Path(output_dir)
    counts = {"training": num_training, "validation": num_validation, "test": num_test}
    parameters = _parameters(seed, counts, size)
    if sample_is_current(
        folder, seed, num_training=num_training, num_validation=num_validation, num_test=num_test, size=size
    ):
        logger.info("%s: the sample of seed %d is complete and reused", folder, seed)
        return folder
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder}: is a file, expected a folder for the sample; choose another name")
    former = _read_stamp(folder)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        what = "a damaged sample" if former and former.get("parameters") == parameters else "other files"
        what = "a sample of other parameters" if former and former.get("parameters") != parameters else what
        raise FileExistsError(
            f"{folder}: holds {what} ({listing(sorted(p.name for p in folder.iterdir()), 5)}); choose an empty folder, "
            "or write into it with force (--force)"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        _write_sample(made, seed, counts, size, parameters)
        _move_in(made, folder, former)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


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
        num_training: number of training pictures.
        num_validation: number of validation pictures.
        num_test: number of test pictures.
        size: (H, W).

    Raises:
        ValueError: arguments out of range.
    """
    folder = Path(output_dir)
    parameters = _parameters(seed, {"training": num_training, "validation": num_validation, "test": num_test}, size)
    stamp = _read_stamp(folder)
    if stamp is None or stamp.get("parameters") != parameters:
        return False
    return all((folder / name).is_file() and _sha256(folder / name) == sha for name, sha in stamp["sha256"].items())


def _parameters(seed: int, counts: dict[str, int], size: tuple[int, int]) -> dict[str, Any]:
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}, expected 0 to {2**32 - 1}")
    if counts["training"] < 1 or min(counts.values()) < 0:
        raise ValueError(f"numbers of pictures are {counts}, expected at least 1 for training and none negative")
    if len(size) != 2 or not all(32 <= side <= 4096 for side in size):
        raise ValueError(f"size is {tuple(size)}, expected (H, W) with 32 to 4096 pixels each")
    return {"version": _VERSION, "seed": seed, "size": list(size), **counts}


def _write_sample(
    folder: Path, seed: int, counts: dict[str, int], size: tuple[int, int], parameters: dict[str, Any]
) -> None:
    for name in ("images", "labels", "instances"):
        (folder / name).mkdir()
    pixels = hashlib.sha256()
    cases: dict[str, list[dict[str, str]]] = {part: [] for part in _PARTS}
    for number, part in enumerate(_PARTS):
        for index in range(counts[part]):
            kind = _TURN[index % len(_TURN)]
            image, instances = paint(kind, size, RandomState([seed, number, index]))
            name = f"{kind}_{_PREFIX[part]}_{index:03d}.png"
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
    text = ", ".join(f"{counts[part]} {part}" for part in _PARTS)
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
        **{part: sorted(cases[part], key=lambda case: case["image"]) for part in _PARTS},
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    readme = _README.format(seed=seed, counts=text, height=size[0], width=size[1])
    (folder / "README.md").write_text(readme, encoding="utf-8")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    stamp = {
        "parameters": parameters,
        # Of the pixels, not the files: compressors differ between machines, pixels do not.
        "pixels_sha256": pixels.hexdigest(),
        "sha256": {name: _sha256(folder / name) for name in files},
    }
    write_atomically(folder / _STAMP, (json.dumps(stamp, indent=1) + "\n").encode())


def _move_in(made: Path, folder: Path, former: dict[str, Any] | None) -> None:
    """Put the finished sample in place; the stamp comes last and vouches for the rest."""
    if not folder.exists():
        os.chmod(made, 0o777 & ~_umask())  # mkdtemp makes private folders
        os.rename(made, folder)
        return
    if former is not None:
        (folder / _STAMP).unlink(missing_ok=True)
        for name in former.get("sha256", {}):
            if not Path(name).is_absolute() and ".." not in Path(name).parts:
                (folder / name).unlink(missing_ok=True)
    stamp = made / _STAMP
    for path in sorted(p for p in made.rglob("*") if p.is_file() and p != stamp):
        target = folder / path.relative_to(made)
        target.parent.mkdir(exist_ok=True)
        os.replace(path, target)
    os.replace(stamp, folder / _STAMP)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and isinstance(stamp.get("sha256"), dict) else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
