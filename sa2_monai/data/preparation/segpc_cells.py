# SPDX-License-Identifier: Apache-2.0
"""Preparation of SegPC-2021: the files as downloaded, the splits of its cells, and one job per image."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from sa2_monai.data.dataset import Job, ListOptions
from sa2_monai.data.layouts.cases import Case, images_in
from sa2_monai.data.preparation.cache import write_png
from sa2_monai.data.preparation.segpc_crops import crop_cell
from sa2_monai.io.images.read import read_image
from sa2_monai.io.problems import Problems

__all__ = [
    "EXPECTED",
    "SPLITS",
    "cell_group",
    "cell_jobs",
    "cell_sections",
    "crop_image",
    "image_of",
    "raw_cells",
    "raw_folder",
]

_HOMEPAGE = "https://segpc-2021.grand-challenge.org/SegPC-2021/"
logger = logging.getLogger(__name__)

#: Number of images by folder, as published.
EXPECTED = {"train": 298, "validation": 200}
#: Splits by name, the default first, see :func:`cell_sections`.
SPLITS = ("by-image", "official", "published-like")

_MASK = re.compile(r"(.+)_(\d+)")
_OFFICIAL = {"train": "training", "validation": "test"}


def cell_sections(cells: Sequence[str], split: str) -> list[str]:
    """Part of each cell.

    Args:
        cells: names of all cells, ``train_106_1`` for ``train/y/106_1.bmp``, sorted.
        split: ``"published-like"`` cuts the list after 50 % and 70 %, so that cells of one image can stand in two
            parts; the published list had the order of a directory and cannot be recovered. ``"by-image"`` cuts at the
            next image. ``"official"``: training part, and validation part as ``test``.

    Returns:
        ``"training"``, ``"validation"`` or ``"test"``, in the order of the cells.
    """
    if split == "official":
        return [_OFFICIAL[name.split("_")[0]] for name in cells]
    first: dict[str, int] = {}
    sections = []
    for index, name in enumerate(cells):
        place = index if split == "published-like" else first.setdefault(image_of(name), index)
        part = "training" if place < len(cells) * 5 // 10 else "validation" if place < len(cells) * 7 // 10 else "test"
        sections.append(part)
    return sections


def raw_cells(directory: Path) -> dict[str, tuple[Path, dict[str, Path]]]:
    """Images and masks as downloaded, checked.

    Args:
        directory: folder that holds ``train`` and ``validation``, or ``TCIA_SegPC_dataset`` with them.

    Returns:
        Name of the image (``train_106``) -> its file, and its masks by name of the cell (``train_106_1``), sorted.

    Raises:
        ValueError: no such folders, images without masks, or the reverse; all of them are named.
    """
    folder = raw_folder(directory)
    if folder is None:
        raise ValueError(
            f"{directory}: has no train/x/, expected TCIA_SegPC_dataset/{{train,validation}}/{{x,y}} as downloaded "
            f"from {_HOMEPAGE}"
        )
    problems = Problems(str(folder))
    found: dict[str, tuple[Path, dict[str, Path]]] = {}
    for part, expected in EXPECTED.items():
        if not all((folder / part / inner).is_dir() for inner in "xy"):
            problems.add("missing folders", f"{folder / part}/x and y", "unpack the archive again")
            continue
        images = {path.stem: path for path in images_in(folder / part / "x")}
        masks: dict[str, dict[str, Path]] = {stem: {} for stem in images}
        for path in images_in(folder / part / "y"):
            match = _MASK.fullmatch(path.stem)
            if match is None or match[1] not in masks:
                problems.add("masks without an image", str(path), "expected <image>_<number>.bmp; unpack again")
            else:
                masks[match[1]][f"{part}_{path.stem}"] = path
        for stem in sorted(images):
            if not masks[stem]:
                problems.add("images without masks", str(images[stem]), "unpack the archive again")
            found[f"{part}_{stem}"] = images[stem], dict(sorted(masks[stem].items()))
        if len(images) != expected:
            logger.warning("%s: %d %s images, the published data set has %d", folder, len(images), part, expected)
    problems.raise_if_any()
    return found


def crop_image(job: Job, folder: Path) -> list[Case]:
    """Cut the cells out of one image: ``images/<cell>_0000.png`` (RGB), ``_0001.png`` (nucleus) and ``labels``.

    Args:
        job: its sources are the image and the masks, its options ``sections`` (part by name of the cell), ``split`` and
            ``published``.
        folder: folder of the preparation.

    Returns:
        Entries of the data list; cells without a nucleus are left out.

    Raises:
        ValueError: a file cannot be read, or a mask is of another size than the image.
    """
    published = job.options["published"]
    image = read_image(job.sources[0], 3)
    cases = []
    for (name, section), path in zip(job.options["sections"].items(), job.sources[1:], strict=True):
        mask = read_image(path)[:, :, 0]
        if mask.shape != image.shape[:2]:
            raise ValueError(
                f"{path}: has {mask.shape[0]} rows and {mask.shape[1]} columns, its image {job.sources[0].name} "
                f"{image.shape[0]} and {image.shape[1]}; unpack the archive again"
            )
        crop = crop_cell(image, mask, published)
        if crop is None:
            logger.warning("%s: holds no nucleus (no value from 40), the cell is left out", path)
            continue
        images = [f"images/{name}_0000.png", f"images/{name}_0001.png"]
        label = f"labels/{name}.png"
        for file, array in zip((*images, label), crop, strict=True):
            write_png(folder / file, array)
        cases.append(
            {"image": images, "label": label, "case": name, "section": section} | cell_group(name, job.options["split"])
        )
    return cases


def cell_jobs(directory: Path, options: ListOptions, published: bool) -> list[Job]:
    """One job per image.

    Args:
        directory: folder of the data as downloaded.
        options: ``split`` is one of :data:`SPLITS`; ``None`` is ``by-image``, of published crops ``published-like``.
        published: whether crops are cut as the published program does.

    Raises:
        ValueError: unknown split, or a folder that :func:`raw_cells` refuses.
    """
    split = options.split or (SPLITS[2] if published else SPLITS[0])
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    images = raw_cells(directory)
    cells = sorted(name for _, masks in images.values() for name in masks)
    sections = dict(zip(cells, cell_sections(cells, split), strict=True))
    return [
        Job(
            name,
            (image, *masks.values()),
            crop_image,
            {"published": published, "split": split, "sections": {cell: sections[cell] for cell in masks}},
        )
        for name, (image, masks) in images.items()
    ]


def raw_folder(directory: Path) -> Path | None:
    """Folder with the parts of the data set as downloaded.

    Args:
        directory: that folder, or the one above it.

    Returns:
        The folder, ``None`` where there is no such.
    """
    return next((f for f in (directory, directory / "TCIA_SegPC_dataset") if (f / "train" / "x").is_dir()), None)


def image_of(cell: str) -> str:
    """Name of the image that a cell lies in.

    Args:
        cell: name of the cell.
    """
    return cell.rpartition("_")[0]


def cell_group(cell: str, split: str) -> Case:
    """Entry ``group`` of a cell; none for the published split, which divides groups.

    Args:
        cell: name of the cell.
        split: one of :data:`SPLITS`.
    """
    return {} if split == "published-like" else {"group": image_of(cell)}
