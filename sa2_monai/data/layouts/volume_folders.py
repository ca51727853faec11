# SPDX-License-Identifier: Apache-2.0
"""Folders of volumes as data lists by part.

Understood layouts::

    dataset.json                      decathlon: lists of objects, or its original form with a test list of plain paths
    dataset.json, imagesTr/, labelsTr/[, imagesTs/, labelsTs/]        nnU-Net, one file per channel: case_0000, _0001
    images/ labels/                   one pool, split by the seed
    train|training/{images,labels}    val|validation/...    test/...

Image and label are paired by file stem, never by position; ``.nii.gz`` is one suffix.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.data.layouts.cases import Case, Parts, distinct_cases
from sa2_monai.data.layouts.dataset_json import decathlon_case, decathlon_parts, read_dataset_json
from sa2_monai.data.layouts.folders import layout_parts
from sa2_monai.io.names import VOLUME_SUFFIXES, same_forms, volume_stem, volumes_in
from sa2_monai.io.paths import existing_path
from sa2_monai.io.problems import Problems, listing

__all__ = ["pair_volumes", "volume_parts"]

logger = logging.getLogger(__name__)

_PARTS = ("training", "validation", "test")
# A channel's file of nnU-Net: case name, underscore, four digits.
_CHANNEL = re.compile(r"(.+)_(\d{4})")


def volume_parts(directory: Path, unlabelled: bool = False) -> Parts:
    """Data lists of a folder of volumes.

    Args:
        directory: the data set's folder, or its ``dataset.json``.
        unlabelled: keep a test part without any label.

    Returns:
        Lists of ``{"image", "label", "case"[, "group"]}`` by part (``training``, ``validation``, ``test``). ``image``
        is a list of paths where a case has one file per channel. A test part without any label, as the challenges
        publish it, is left out where there are training cases: it can be predicted, but not scored (see
        ``unlabelled``).

    Raises:
        FileNotFoundError: a file or folder of the layout is missing.
        ValueError: no known layout, a missing partner or channel, one stem twice.
    """
    description = directory if directory.suffix == ".json" else directory / "dataset.json"
    folder = description.parent
    content = read_dataset_json(description) if description.is_file() or description == directory else {}
    if any(part in content for part in _PARTS):
        parts = decathlon_parts(description, _listed_case)
    elif isinstance(content.get("dataset"), Mapping):
        parts = {"training": _named_files(description, content["dataset"])}
    elif (folder / "imagesTr").is_dir():
        parts = _task_folders(folder, content)
    elif description == directory:
        raise ValueError(
            f"{description}: lists no cases and has no imagesTr/ beside it; expected 'training', 'validation' and "
            "'test', or an nnU-Net folder"
        )
    else:
        parts = layout_parts(folder, _images_and_labels)
    useless = not unlabelled and parts.get("training") and not any("label" in case for case in parts.get("test", []))
    if useless and parts.get("test"):
        logger.info(
            "%s: the %d test images have no labels and are left out (predict them with the inference of the bundle); "
            "a test part is held out of the training cases instead",
            directory,
            len(parts["test"]),
        )
        del parts["test"]
    return distinct_cases(parts)


def pair_volumes(
    images: list[Path], labels: list[Path] | None, where: Path, num_channels: int | None = None
) -> list[Case]:
    """Pair image and label volumes by stem; several channel files ``<case>_0000``, ``_0001`` are one image.

    Args:
        images: image files.
        labels: label files; ``None`` for images without labels.
        where: folder named in the messages.
        num_channels: channel files that every case must have, where known.

    Returns:
        Cases sorted by name.

    Raises:
        ValueError: a partner or a channel is missing, or two files have one stem; all of them are named.
    """
    problems = Problems(str(where))
    image_of = _by_stem(images, problems)
    label_of = None if labels is None else same_forms(_by_stem(labels, problems), image_of)
    channels: dict[str, dict[int, Path]] = {}
    for stem, path in image_of.items():
        match = _CHANNEL.fullmatch(stem)
        case, channel = stem, 0
        # Four digits alone say nothing: scan_0001 with the label scan_0001 is a case, not a channel.
        if match and (num_channels is not None if label_of is None else stem not in label_of and match[1] in label_of):
            case, channel = match[1], int(match[2])
        other = channels.setdefault(case, {}).setdefault(channel, path)
        if other != path:
            problems.add(
                "two files of one name", f"{other} and {path.name}", "keep one of them, or rename it with its partner"
            )
    count = num_channels or max((len(found) for found in channels.values()), default=1)
    for case, found in sorted(channels.items()):
        if label_of is not None and case not in label_of:
            problems.add(
                "images without a label",
                str(next(iter(found.values()))),
                "add a label file with the image's stem, or move the image away",
            )
        elif sorted(found) != list(range(count)):
            problems.add(
                f"cases without the channels 0 to {count - 1}",
                f"{case}: has {listing([str(i) for i in sorted(found)])} in {next(iter(found.values())).parent}",
                "add the missing files <case>_0000, <case>_0001, ..., the same number for every case",
            )
    for case in sorted((label_of or {}).keys() - channels.keys()):
        problems.add(
            "labels without an image",
            str((label_of or {})[case]),
            "add the image with the label's stem, or move the label away",
        )
    problems.raise_if_any()
    cases: list[Case] = []
    for name in sorted(channels):
        files = [str(channels[name][i]) for i in sorted(channels[name])]
        item: Case = {"image": files[0] if len(files) == 1 else files}
        if label_of is not None:
            item["label"] = str(label_of[name])
        cases.append({**item, "case": name})
    return cases


def _by_stem(files: list[Path], problems: Problems) -> dict[str, Path]:
    table: dict[str, Path] = {}
    for path in files:
        other = table.setdefault(volume_stem(path), path)
        if other != path:
            problems.add(
                "two files of one name", f"{other} and {path.name}", "keep one of them, or rename it with its partner"
            )
    return table


def _images_and_labels(folder: Path) -> list[Case]:
    for name in ("images", "labels"):
        if not (folder / name).is_dir():
            raise FileNotFoundError(
                f"{folder / name}: no such folder; expected images/ and labels/ of volumes with equal stems"
            )
    return pair_volumes(_volumes(folder / "images"), volumes_in(folder / "labels"), folder)


def _task_folders(folder: Path, content: Mapping[str, Any]) -> Parts:
    """Folders ``imagesTr``, ``labelsTr``, ``imagesTs`` and ``labelsTs``."""
    if not (folder / "labelsTr").is_dir():
        raise FileNotFoundError(f"{folder / 'labelsTr'}: no such folder; imagesTr/ needs the labels beside it")
    ending = content.get("file_ending")
    if ending is not None and str(ending).lower() not in VOLUME_SUFFIXES:
        raise ValueError(
            f"{folder / 'dataset.json'}: 'file_ending' is {ending!r}, expected one of "
            f"{listing(list(VOLUME_SUFFIXES))}; images are read with dataset 'folder'"
        )
    names = content.get("channel_names", content.get("modality"))
    count = len(names) if isinstance(names, Mapping) and ending is not None else None
    parts = {}
    for part, suffix in (("training", "Tr"), ("test", "Ts")):
        images, labels = folder / f"images{suffix}", folder / f"labels{suffix}"
        if images.is_dir() and (part == "training" or volumes_in(images)):
            found = volumes_in(labels) if labels.is_dir() else []
            parts[part] = pair_volumes(_volumes(images), found if found or part == "training" else None, folder, count)
    return parts


def _volumes(folder: Path) -> list[Path]:
    files = volumes_in(folder)
    if not files:
        raise ValueError(f"{folder}: holds no volumes ({listing(list(VOLUME_SUFFIXES))}); put the images there")
    return files


def _named_files(path: Path, cases: Mapping[str, Any]) -> list[Case]:
    """nnU-Net's explicit list: case name -> ``{"images": [...], "label": ...}``."""
    found = []
    for name, entry in cases.items():
        if not isinstance(entry, Mapping) or "images" not in entry or "label" not in entry:
            raise ValueError(f"{path}: 'dataset' holds {name!r}: {entry!r}, expected 'images' and 'label'")
        found.append(
            _listed_case(path, "dataset", {"image": entry["images"], "label": entry["label"], "case": str(name)})
        )
    return sorted(found, key=lambda case: str(case["case"]))


def _listed_case(path: Path, part: str, entry: Any) -> Case:
    """Case of a ``dataset.json``: one file or one per channel, named without ``.nii.gz``."""
    entry = {"image": entry} if isinstance(entry, str) else entry
    images = entry.get("image") if isinstance(entry, dict) else None
    if isinstance(images, list) and images and all(isinstance(name, str) for name in images):
        files = images
        entry = {**entry, "image": images[0]}
    else:
        files = []
    case = decathlon_case(path, part, entry)
    case.pop("instances", None)
    if "case" not in entry:
        match = _CHANNEL.fullmatch(volume_stem(case["image"]))
        case["case"] = match[1] if match and len(files) > 1 else volume_stem(case["image"])
    if entry.get("patient") and "group" not in case:
        case["group"] = str(entry["patient"])
    if len(files) > 1:
        case["image"] = [os.path.abspath(existing_path(path.parent / name)) for name in files]
    elif not os.path.exists(case["image"]):
        case["image"] = _channel_files(Path(case["image"])) or case["image"]
    return case


def _channel_files(image: Path) -> str | list[str] | None:
    """Files ``<stem>_0000<suffix>``, ... for an image that is listed without the channel, as nnU-Net 1 writes it."""
    stem = volume_stem(image)
    suffix = image.name[len(stem) :]
    files: list[str] = []
    while (path := image.with_name(f"{stem}_{len(files):04d}{suffix}")).exists():
        files.append(str(path))
    return files[0] if len(files) == 1 else files or None
