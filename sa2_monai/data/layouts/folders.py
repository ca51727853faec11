# SPDX-License-Identifier: Apache-2.0
"""Folders of images and labels, and decathlon ``dataset.json`` files, as data lists by part.

Understood layouts::

    images/ labels/ [instances/]                          one pool, split by the seed
    train|training/{images,labels}  val|validation/...  test/...
    dataset.json                                          decathlon: training, validation, test with relative paths

Image and label are paired by file stem, never by position.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sa2_monai.io.images.read import PICTURE_SUFFIXES
from sa2_monai.io.names import same_forms, volumes_in
from sa2_monai.io.paths import existing_path
from sa2_monai.io.problems import Problems, listing

__all__ = [
    "Case",
    "Parts",
    "decathlon_case",
    "decathlon_parts",
    "distinct_cases",
    "folder_parts",
    "layout_parts",
    "pair_by_stem",
    "pictures_in",
    "read_dataset_json",
]

Case = dict[str, Any]
#: Data lists by part; only parts that the data set lists itself are there.
Parts = dict[str, list[Case]]

_PART_NAMES = {"training": ("train", "training"), "validation": ("val", "validation"), "test": ("test",)}
_CURE_LAYOUT = (
    "expected images/ and labels/ with equal file stems, train|val|test folders that hold them, or a dataset.json"
)


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
    for part, names in _PART_NAMES.items():
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
                f"{directory}: has images/ and a folder with a training part, expected one of them; {_CURE_LAYOUT}"
            )
        parts["training"] = read_folder(directory)
    if not parts:
        raise ValueError(f"{directory}: is not a data set of a known layout; {_CURE_LAYOUT}")
    return distinct_cases(parts)


def decathlon_parts(directory: Path, read_entry: Callable[[Path, str, Any], Case] | None = None) -> Parts:
    """Data lists of a ``dataset.json`` (decathlon style, paths relative to its folder).

    Args:
        directory: folder of the file, or the file itself.
        read_entry: function of (the file, part, entry) that makes a case of an entry; ``None`` is
            :func:`decathlon_case`.

    Returns:
        Lists by part; cases keep ``image``, ``label``, ``instances``, ``case`` and ``group``. A part that is missing or
        empty in the file is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a decathlon file.
    """
    path = directory if directory.suffix == ".json" else directory / "dataset.json"
    content = read_dataset_json(path)
    parts: Parts = {}
    for part in _PART_NAMES:
        entries = content.get(part) or []
        if not isinstance(entries, list):
            raise ValueError(
                f"{path}: {part!r} is a {type(entries).__name__}, expected a list of image and label paths"
            )
        cases = [(read_entry or decathlon_case)(path, part, entry) for entry in entries]
        if cases:
            parts[part] = sorted(cases, key=lambda case: str(case["image"]))
    return distinct_cases(parts)


def read_dataset_json(path: Path) -> dict[str, Any]:
    """Content of a ``dataset.json``.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {_CURE_LAYOUT}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not valid JSON ({error}); correct the file") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__}, expected an object with the list 'training'")
    return content


def pair_by_stem(
    images: list[Path],
    labels: list[Path],
    where: Path,
    label_stem: Callable[[Path], str] = lambda path: path.stem,
) -> list[Case]:
    """Pair images and labels of equal stem, in whatever Unicode form the two file systems write it.

    Args:
        images: image files.
        labels: label files.
        where: folder named in the messages.
        label_stem: image stem that a label file belongs to.

    Returns:
        Cases sorted by stem.

    Raises:
        ValueError: a partner is missing, or two files have one stem; all of them are named.
    """
    problems = Problems(str(where))
    by_stem: list[dict[str, Path]] = []
    for files, stem_of in ((images, lambda path: path.stem), (labels, label_stem)):
        table: dict[str, Path] = {}
        for path in files:
            other = table.setdefault(stem_of(path), path)
            if other != path:
                problems.add(
                    "two files of one name",
                    f"{other} and {path.name}",
                    "keep one of them, or rename the other with its partner",
                )
        by_stem.append(table)
    image_of, label_of = by_stem
    label_of = same_forms(label_of, image_of)
    for stem in sorted(image_of.keys() - label_of.keys()):
        problems.add(
            "images without a label",
            str(image_of[stem]),
            "add a label file with the image's stem, or move the image away",
        )
    for stem in sorted(label_of.keys() - image_of.keys()):
        problems.add(
            "labels without an image",
            str(label_of[stem]),
            "add the image with the label's stem, or move the label away",
        )
    problems.raise_if_any()
    return [{"image": str(image_of[stem]), "label": str(label_of[stem]), "case": stem} for stem in sorted(image_of)]


def pictures_in(folder: Path) -> list[Path]:
    """Picture files of a folder, sorted by name; hidden files and other types are left out.

    Args:
        folder: an existing folder.
    """
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )


def distinct_cases(parts: Parts) -> Parts:
    """Make case names unique over all parts: names that occur in several parts get the part in front.

    Args:
        parts: data lists by part, changed in place.

    Raises:
        ValueError: a case name or an image stands twice in one part, or an image in two parts.
    """
    problems = Problems("data list")
    images: dict[str, str] = {}
    for part, cases in parts.items():
        names: dict[str, str] = {}
        for case in cases:
            image = str(case["image"])  # a list where a volume has one file per channel
            if image in images:
                problems.add(
                    "images listed twice",
                    f"{image} ({images[image]} and {part})",
                    "list each image once",
                )
            elif case["case"] in names:
                problems.add(
                    "two images of one case name",
                    f"{names[case['case']]} and {image} in {part}",
                    "rename one of them, or give distinct 'case' entries in dataset.json",
                )
            images[image] = part
            names[case["case"]] = image
    problems.raise_if_any()
    in_parts = [{case["case"] for case in cases} for cases in parts.values()]
    if sum(len(names) for names in in_parts) != len(set().union(*in_parts)):
        for part, cases in parts.items():
            for case in cases:
                case["case"] = f"{part}_{case['case']}"
    return parts


def _images_and_labels(folder: Path) -> list[Case]:
    for name in ("images", "labels"):
        if not (folder / name).is_dir():
            raise FileNotFoundError(f"{folder / name}: no such folder; {_CURE_LAYOUT}")
    images = pictures_in(folder / "images")
    if not images:
        volumes = "; its volumes are read with dataset 'volumes'" if volumes_in(folder / "images") else ""
        raise ValueError(
            f"{folder / 'images'}: holds no pictures ({listing(list(PICTURE_SUFFIXES))}); put the images there{volumes}"
        )
    cases = pair_by_stem(images, pictures_in(folder / "labels"), folder)
    if (folder / "instances").is_dir():
        instances = {path.stem: path for path in pictures_in(folder / "instances")}
        # Data loaders need the same entries in every case.
        if all(case["case"] in instances for case in cases):
            for case in cases:
                case["instances"] = str(instances[case["case"]])
    return cases


def decathlon_case(path: Path, part: str, entry: Any) -> Case:
    """Case of one entry of a ``dataset.json``.

    Args:
        path: the file; the entry's paths are relative to its folder.
        part: part that the entry stands in, for the message.
        entry: object with ``image`` and others, or the path of an image without label.

    Returns:
        ``image``, ``label``, ``instances`` (absolute paths), ``case`` and ``group``, where the entry has them.

    Raises:
        ValueError: no such object, or a case name with slashes.
    """
    if isinstance(entry, str):  # the decathlon's own test lists: images without labels
        entry = {"image": entry}
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
        raise ValueError(f"{path}: {part!r} holds the entry {entry!r}, expected an object with 'image' and 'label'")
    case: Case = {}
    for key in ("image", "label", "instances"):
        if key in entry:
            if not isinstance(entry[key], str):
                raise ValueError(f"{path}: {key!r} of {entry['image']} is {entry[key]!r}, expected one relative path")
            case[key] = os.path.abspath(existing_path(path.parent / entry[key]))
    case["case"] = str(entry.get("case") or Path(entry["image"]).stem)
    if "/" in case["case"] or "\\" in case["case"]:
        raise ValueError(
            f"{path}: the case name {case['case']!r} is no file name, and results are named by it; remove slashes"
        )
    if entry.get("group"):
        case["group"] = str(entry["group"])
    return case
