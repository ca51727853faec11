# SPDX-License-Identifier: Apache-2.0
"""``find_data``: what a path of the user's holds, with nothing else said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.data.checks.label_tables import label_table
from sa2_monai.data.dataset import ListOptions
from sa2_monai.data.datasets import DATASETS
from sa2_monai.data.layouts.cases import Parts
from sa2_monai.data.layouts.dataset_json import read_dataset_json
from sa2_monai.data.layouts.discovery.found import FoundData
from sa2_monai.data.layouts.folder_walk import unused_files
from sa2_monai.data.layouts.patients import PATIENT_TABLE
from sa2_monai.data.registry import dataset_classes, unknown_dataset
from sa2_monai.io.images.read import read_image
from sa2_monai.io.paths import existing_path

__all__ = ["find_data"]


def find_data(
    path: str | os.PathLike[str],
    dataset: str | None = None,
    images: str | None = None,
    labels: str | None = None,
    colours: str | os.PathLike[str] | None = None,
) -> FoundData:
    """Find out what a folder of data is: which layout, which cases, what the files say of classes and channels.

    Args:
        path: folder of the data, or a ``dataset.json``.
        dataset: name in the registry, where the user says it.
        images: glob of the images, relative to ``path``, for folders that no layout fits.
        labels: glob of the labels.
        colours: table colour -> class of colour masks.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: nothing fits, or it is not certain what does; one line with what was found and what to give.
    """
    where = Path(os.path.abspath(existing_path(path)))
    if not where.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; give the folder of your data")
    if dataset is not None and dataset not in DATASETS:
        raise ValueError(unknown_dataset(dataset))
    errors: list[ValueError | FileNotFoundError] = []
    for name in [dataset] if dataset is not None else ["folder", "volumes"]:
        entry = DATASETS[name]
        try:
            parts = entry.parts(where, ListOptions(unlabelled=True))
        except (ValueError, FileNotFoundError) as error:
            errors.append(error)
            continue
        cases = [case for members in parts.values() for case in members]
        if dataset is None and name == "folder" and any(_is_volume(case["image"]) for case in cases):
            continue
        description = where if where.suffix == ".json" else where / "dataset.json"
        content = read_dataset_json(description) if entry.described and description.is_file() else {}
        names, table = _classes(where, name, content)
        channel_names = _channel_names(content)
        return FoundData(
            path=where,
            dataset=name,
            kind=entry.files,
            description=f"listed in {description.name}" if content else entry.title.partition(":")[2].strip(),
            parts=parts,
            class_names=names,
            label_values=table,
            ignore_value=entry.ignore_value,
            channels=_channels(cases, entry.files),
            channel_names=channel_names,
            left_out=_left_out(where, parts) if entry.described and where.is_dir() else "",
        )
    raise errors[0]


def _is_volume(image: Any) -> bool:
    from sa2_monai.io.names import VOLUME_SUFFIXES

    return str(image if isinstance(image, str) else image[0]).lower().endswith(VOLUME_SUFFIXES)


def _classes(
    where: Path, dataset: str, content: Mapping[str, Any]
) -> tuple[list[str] | None, Mapping[Any, int] | str | None]:
    entry = DATASETS[dataset]
    if entry.classes is not None:
        return list(entry.classes), entry.label_values
    if not content.get("labels"):
        return None, entry.label_values
    names, table = dataset_classes(where, "volumes")
    default = label_table(None, names)
    usual = isinstance(table, dict) and isinstance(default, dict) and table.items() <= default.items()
    return names, None if usual else table


def _channel_names(content: Mapping[str, Any]) -> list[str] | None:
    names = content.get("channel_names", content.get("modality"))
    if not isinstance(names, Mapping) or not all(str(key).isdigit() for key in names):
        return None
    return [str(names[key]) for key in sorted(names, key=int)]


def _channels(cases: list[dict[str, Any]], files: str) -> int | None:
    if not cases:
        return None
    image = cases[0]["image"]
    if not isinstance(image, str):
        return len(image)
    return int(read_image(image).shape[2]) if files == "images" else 1


def _left_out(folder: Path, parts: Parts) -> str:
    entries = [case[key] for cases in parts.values() for case in cases for key in case if key not in ("case", "group")]
    files = [name for entry in entries for name in (entry if isinstance(entry, list) else [entry])]
    return str(unused_files(folder, [*files, folder / "dataset.json", folder / PATIENT_TABLE]))
