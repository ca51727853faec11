# SPDX-License-Identifier: Apache-2.0
"""Cases that a ``dataset.json`` lists, and those of nnU-Net's folders, of images and of volumes.

Understood forms::

    dataset.json                      decathlon: lists of objects, or its original form with a test list of plain paths
    dataset.json, imagesTr/, labelsTr/[, imagesTs/, labelsTs/]        nnU-Net, one file per channel: case_0000, _0001
    dataset.json with "dataset"       nnU-Net's explicit list

Image and label are paired by file stem, never by position; ``.nii.gz`` is one suffix.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.data.layouts.cases import PART_NAMES, Case, Parts, distinct_cases, images_in
from sa2_monai.data.layouts.channel_files import CHANNEL, pair_files, stem_of
from sa2_monai.data.layouts.dataset_json import decathlon_case, decathlon_parts, read_dataset_json
from sa2_monai.io.images.read import IMAGE_SUFFIXES
from sa2_monai.io.names import VOLUME_SUFFIXES, volume_stem, volumes_in
from sa2_monai.io.problems import listing

__all__ = ["SPLITS", "described_parts"]

#: nnU-Net's folds; a single one is the validation part of the data.
SPLITS = "splits_final.json"


def described_parts(directory: Path, kind: str) -> tuple[Parts, str] | None:
    """Data lists of a ``dataset.json``, or of nnU-Net's folders.

    Args:
        directory: the data set's folder, or its ``dataset.json``.
        kind: ``"images"`` or ``"volumes"``.

    Returns:
        Cases by part, and the layout in words; ``image`` is a list of paths where a case has one file per channel.
        ``None`` where there is neither.

    Raises:
        FileNotFoundError: a file or folder of the layout is missing.
        ValueError: no such list, a missing partner or channel, one stem twice.
    """
    description = directory if directory.suffix == ".json" else directory / "dataset.json"
    folder = description.parent
    content = read_dataset_json(description) if description.is_file() or description == directory else {}
    if any(part in content for part in PART_NAMES):
        read_entry = _listed_case if kind == "volumes" else None
        return decathlon_parts(description, read_entry), f"listed in {description.name}"
    if isinstance(content.get("dataset"), Mapping):
        return distinct_cases({"training": _named_files(description, content["dataset"])}), "listed in dataset.json"
    if (folder / "imagesTr").is_dir() and _has_kind(folder, kind):
        parts = distinct_cases(_with_validation(folder, _task_folders(folder, content, kind)))
        return parts, "imagesTr/ and labelsTr/, paired by name" + (", with nnU-Net's dataset.json" if content else "")
    if description == directory:
        raise ValueError(
            f"{description}: lists no cases and has no imagesTr/ beside it; expected 'training', 'validation' and "
            "'test', or an nnU-Net folder"
        )
    return None


def _has_kind(folder: Path, kind: str) -> bool:
    """Whether imagesTr/ is for this kind of files; without any the wanted kind answers."""
    files = {"images": images_in(folder / "imagesTr"), "volumes": volumes_in(folder / "imagesTr")}
    return bool(files[kind]) or not any(files.values())


def _task_folders(folder: Path, content: Mapping[str, Any], kind: str) -> Parts:
    """Folders ``imagesTr``, ``labelsTr``, ``imagesTs`` and ``labelsTs``."""
    suffixes, files_in = (IMAGE_SUFFIXES, images_in) if kind == "images" else (VOLUME_SUFFIXES, volumes_in)
    if not (folder / "labelsTr").is_dir():
        raise FileNotFoundError(f"{folder / 'labelsTr'}: no such folder; imagesTr/ needs the labels beside it")
    ending = content.get("file_ending")
    if ending is not None and str(ending).lower() not in suffixes:
        other = "images are read with dataset 'folder'" if kind == "volumes" else "volumes with 'volumes'"
        raise ValueError(
            f"{folder / 'dataset.json'}: 'file_ending' is {ending!r}, expected one of "
            f"{listing(list(suffixes))}; {other}"
        )
    names = content.get("channel_names", content.get("modality"))
    count = len(names) if isinstance(names, Mapping) and ending is not None else None
    if kind == "images":  # a colour image is one file of three channels
        matches = [CHANNEL.fullmatch(stem_of(path)) for path in files_in(folder / "imagesTr")]
        count = 1 + max((int(match[2]) for match in matches if match), default=0) if all(matches) else None
    parts = {}
    for part, suffix in (("training", "Tr"), ("validation", "Va"), ("test", "Ts")):
        images, labels = folder / f"images{suffix}", folder / f"labels{suffix}"
        if not images.is_dir() or not (part == "training" or files_in(images)):
            continue
        of_part = files_in(images)
        if not of_part:
            raise ValueError(f"{images}: holds no {kind} ({listing(list(suffixes))}); put the images there")
        found = files_in(labels) if labels.is_dir() else []
        parts[part] = pair_files(of_part, found if found or part != "test" else None, folder, count)
    return parts


def _with_validation(folder: Path, parts: Parts) -> Parts:
    """Take the validation part out of the training cases where ``splits_final.json`` has one fold only."""
    try:
        splits = json.loads((folder / SPLITS).read_text(encoding="utf-8")) if (folder / SPLITS).is_file() else []
        held_out = set(splits[0]["val"]) if len(splits) == 1 else set()
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / SPLITS}: cannot be read ({error}); expected nnU-Net's list of folds") from error
    cases = parts.get("training", [])
    if not held_out or not held_out < {case["case"] for case in cases}:
        return parts
    rest = [case for case in cases if case["case"] not in held_out]
    validation = [case for case in cases if case["case"] in held_out]
    return {"training": rest, "validation": validation, **{p: parts[p] for p in parts if p != "training"}}


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
    case = decathlon_case(path, part, entry)
    case.pop("instances", None)
    several = isinstance(case["image"], list)
    first = case["image"][0] if several else case["image"]
    if isinstance(entry, str) or "case" not in entry:
        match = CHANNEL.fullmatch(volume_stem(first))
        case["case"] = match[1] if match and several else volume_stem(first)
    if isinstance(entry, dict) and entry.get("patient") and "group" not in case:
        case["group"] = str(entry["patient"])
    if several and len(case["image"]) == 1:
        case["image"] = first
    elif not several and not os.path.exists(first):
        case["image"] = _channel_files(Path(first)) or first
    return case


def _channel_files(image: Path) -> str | list[str] | None:
    """Files ``<stem>_0000<suffix>``, ... for an image that is listed without the channel, as nnU-Net 1 writes it."""
    stem = volume_stem(image)
    suffix = image.name[len(stem) :]
    files: list[str] = []
    while (path := image.with_name(f"{stem}_{len(files):04d}{suffix}")).exists():
        files.append(str(path))
    return files[0] if len(files) == 1 else files or None
