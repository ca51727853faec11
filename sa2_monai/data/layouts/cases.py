# SPDX-License-Identifier: Apache-2.0
"""Cases of a data set, and what most layouts do with them: pair images with labels, make names distinct."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sa2_monai.io.images.read import IMAGE_SUFFIXES
from sa2_monai.io.names import same_forms
from sa2_monai.io.problems import Problems

__all__ = ["EXPECTED_LAYOUT", "PART_NAMES", "Case", "Parts", "distinct_cases", "files_of", "images_in", "pair_by_stem"]

#: One case: ``image`` (a path, or a list of one file per channel), ``label``, ``case`` (its name), ``group`` (patient).
Case = dict[str, Any]
#: Data lists by part; only parts that the data set lists itself are there.
Parts = dict[str, list[Case]]

#: Parts of a data set, and the names of folders that stand for them.
PART_NAMES = {"training": ("train", "training"), "validation": ("val", "validation"), "test": ("test",)}
#: The forms that are understood, in one line.
EXPECTED_LAYOUT = (
    "expected images/ and labels/ (or masks/, gt/, ...) with equal file stems or one affix, in train|val|test folders "
    "or not; labels beside the images as <stem>_mask or _seg; a folder per case; a dataset.json; or a CSV of pairs "
    "(columns image,label)"
)


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


def files_of(parts: Parts) -> list[Path]:
    """All files of data lists: images with all their channels, labels, instances, and the slices of DICOM series.

    Args:
        parts: data lists by part.
    """
    files: list[Path] = []
    for case in (case for cases in parts.values() for case in cases):
        entries = [case[key] for key in ("image", "label", "instances") if key in case]
        for name in (Path(name) for entry in entries for name in (entry if isinstance(entry, list) else [entry])):
            files += sorted(name.iterdir()) if name.is_dir() else [name]
    return files


def images_in(folder: Path) -> list[Path]:
    """Image files of a folder, sorted by name; hidden files and other types are left out.

    Args:
        folder: an existing folder.
    """
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
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
