# SPDX-License-Identifier: Apache-2.0
"""Folders of images and labels as data lists by part.

Understood layouts::

    images/ labels/ [instances/]                          one pool, split by the seed
    train|training/{images,labels}  val|validation/...  test/...
    dataset.json                                          see dataset_json

Image and label are paired by file stem, never by position.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sa2_monai.data.layouts.cases import (
    EXPECTED_LAYOUT,
    PART_NAMES,
    Case,
    Parts,
    distinct_cases,
    images_in,
    pair_by_stem,
)
from sa2_monai.data.layouts.dataset_json import decathlon_parts
from sa2_monai.io.images.read import IMAGE_SUFFIXES
from sa2_monai.io.names import volumes_in
from sa2_monai.io.problems import listing

__all__ = ["folder_parts", "layout_parts"]


def folder_parts(directory: Path) -> Parts:
    """Data lists of a folder: its ``dataset.json`` where there is one, else its sub-folders.

    Args:
        directory: the data set's folder.

    Returns:
        Lists of ``{"image", "label", "case"[, "instances"]}`` by part (``training``, ``validation``, ``test``), sorted
        by image path. Without sub-folders for the parts everything is ``training``.

    Raises:
        ValueError: no known layout, an image or label without partner, or one stem twice.
    """
    if (directory / "dataset.json").is_file():
        return decathlon_parts(directory)
    return layout_parts(directory, _images_and_labels)


def layout_parts(directory: Path, read_folder: Callable[[Path], list[Case]]) -> Parts:
    """Data lists of a folder with ``images`` and ``labels``, or with sub-folders by part that hold them.

    Args:
        directory: the data set's folder.
        read_folder: cases of one folder that holds ``images`` and ``labels``.

    Returns:
        Cases by part; without sub-folders for the parts everything is ``training``.

    Raises:
        ValueError: no known layout, or two folders for one part.
    """
    parts: Parts = {}
    for part, names in PART_NAMES.items():
        found = [directory / name for name in names if (directory / name).is_dir()]
        if len(found) > 1:
            raise ValueError(
                f"{directory}: has the folders {names[0]}/ and {names[1]}/, expected one of them; rename or merge"
            )
        if found:
            parts[part] = read_folder(found[0])
    if (directory / "images").is_dir():
        if "training" in parts:
            raise ValueError(
                f"{directory}: has images/ and a folder with a training part, expected one of them; {EXPECTED_LAYOUT}"
            )
        parts["training"] = read_folder(directory)
    if not parts:
        raise ValueError(f"{directory}: is not a data set of a known layout; {EXPECTED_LAYOUT}")
    return distinct_cases(parts)


def _images_and_labels(folder: Path) -> list[Case]:
    for name in ("images", "labels"):
        if not (folder / name).is_dir():
            raise FileNotFoundError(f"{folder / name}: no such folder; {EXPECTED_LAYOUT}")
    images = images_in(folder / "images")
    if not images:
        volumes = "; its volumes are read with dataset 'volumes'" if volumes_in(folder / "images") else ""
        raise ValueError(
            f"{folder / 'images'}: holds no images ({listing(list(IMAGE_SUFFIXES))}); put the images there{volumes}"
        )
    cases = pair_by_stem(images, images_in(folder / "labels"), folder)
    if (folder / "instances").is_dir():
        instances = {path.stem: path for path in images_in(folder / "instances")}
        # Data loaders need the same entries in every case.
        if all(case["case"] in instances for case in cases):
            for case in cases:
                case["instances"] = str(instances[case["case"]])
    return cases
