# SPDX-License-Identifier: Apache-2.0
"""``find_data``: what a path of the user's holds, with nothing else said."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.dataset import ListOptions
from sa2_monai.data.datasets import DATASETS
from sa2_monai.data.layouts.cases import Case, Parts, files_of
from sa2_monai.data.layouts.dataset_json import read_dataset_json
from sa2_monai.data.layouts.described import SPLITS
from sa2_monai.data.layouts.discovery.contents import class_facts, description_of, unless_default
from sa2_monai.data.layouts.discovery.found import FoundData
from sa2_monai.data.layouts.discovery.globs import glob_layout
from sa2_monai.data.layouts.discovery.layout import Layout, QuestionError
from sa2_monai.data.layouts.discovery.public import prepared_sets, public_sets
from sa2_monai.data.layouts.discovery.recognise import own_layout, with_joined_objects
from sa2_monai.data.layouts.folder_walk import unused_files
from sa2_monai.data.layouts.pairs_csv import TABLES
from sa2_monai.data.layouts.patients import PATIENT_TABLE, add_patients
from sa2_monai.data.registry import unknown_dataset
from sa2_monai.io.images.read import read_image
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.paths import existing_path
from sa2_monai.io.problems import CASE_ERRORS

__all__ = ["find_data"]

_VOXELS = (".raw", ".zraw")
#: Layouts of one's own by kind of files.
_OWN = {"folder": "images", "decathlon": "images", "volumes": "volumes"}


def find_data(
    path: str | os.PathLike[str],
    dataset: str | None = None,
    images: str | None = None,
    labels: str | None = None,
    colours: str | os.PathLike[str] | None = None,
) -> FoundData:
    """Find out what a folder of data is: which layout, which cases, what the files say of classes and channels.

    Args:
        path: folder of the data, a ``dataset.json``, or a CSV of pairs.
        dataset: name in the registry, where the user says it.
        images: pattern of the images, relative to ``path``, for folders that no layout fits.
        labels: pattern of the labels.
        colours: table colour -> class of masks in colour.

    Returns:
        What was found. With ``images`` and ``labels`` only ``parts`` says which files belong together: write them with
        :func:`~sa2_monai.data.layouts.pairs_csv.write_pairs` for ``load_datalist``.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: nothing fits, or it is not certain what does; one line with what was found and what to give.
    """
    where = Path(os.path.abspath(existing_path(path)))
    if not where.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; give the folder of your data")
    if where.is_file() and where.suffix.lower() not in (".json", *TABLES):
        raise ValueError(f"{path}: is one file; give the folder of your data, a dataset.json, or a CSV of pairs")
    if dataset is not None and dataset not in DATASETS:
        raise ValueError(unknown_dataset(dataset))
    if (images is None) != (labels is None):
        given, other = ("--images", "--labels") if labels is None else ("--labels", "--images")
        raise ValueError(f"{path}: {given} needs {other} as well; give both patterns, relative to the folder")
    if images is not None and labels is not None:
        layout = glob_layout(where, images, labels)
        return _own(where, dataset or _kind_of(layout.parts), layout, colours)
    if dataset is None and where.is_dir():
        dataset = _public(where)
    if dataset is not None and dataset not in _OWN:
        return _published(where, dataset)
    if dataset is not None:
        return _own(where, dataset, own_layout(where, _OWN[dataset], unlabelled=True), colours)
    return _own(where, *_either(where), colours)


def _public(where: Path) -> str | None:
    for name in prepared_sets(where):
        try:
            if name in DATASETS and DATASETS[name].parts(where, ListOptions()):
                return name
        except (OSError, ValueError):  # prepared in a form that has another name
            continue
    names = public_sets(where)
    if len(names) > 1:
        titles = "; ".join(f"--dataset {name} ({DATASETS[name].title})" for name in names)
        raise QuestionError(f"{where}: can be read in {len(names)} ways, which is meant? {titles}")
    return names[0] if names else None


def _published(where: Path, dataset: str) -> FoundData:
    entry = DATASETS[dataset]
    parts: Parts = {}
    if entry.prepare_first is None or not entry.prepare_first(where):
        parts = entry.parts(where, ListOptions(unlabelled=True))
    return FoundData(
        path=where,
        dataset=dataset,
        kind=entry.files,
        description=entry.title,
        parts=parts,
        class_names=None if entry.classes is None else list(entry.classes),
        label_values=entry.label_values,
        ignore_value=entry.ignore_value,
        channels=_channels([case for cases in parts.values() for case in cases], entry.files),
    )


def _either(where: Path) -> tuple[str, Layout]:
    """Images or volumes: the one that the files are."""
    found: dict[str, Layout] = {}
    errors: dict[str, ValueError | FileNotFoundError] = {}
    for name in ("folder", "volumes"):
        try:
            layout = own_layout(where, _OWN[name], unlabelled=True)
        except (ValueError, FileNotFoundError) as error:
            errors[name] = error
            continue
        if _kind_of(layout.parts) == name:  # a list may name files of either kind
            found[name] = layout
    if len(found) > 1:
        counts = {name: sum(map(len, layout.parts.values())) for name, layout in found.items()}
        raise QuestionError(
            f"{where}: holds {counts['folder']} image and {counts['volumes']} volume cases, which are meant? Give "
            "--dataset folder or --dataset volumes"
        )
    if found:
        return next(iter(found.items()))
    asked = [error for error in errors.values() if isinstance(error, QuestionError)]
    # Where the files are volumes, what is wrong with the volumes is the answer.
    volumes = where.is_dir() and any(path.name.lower().endswith(VOLUME_SUFFIXES) for path in where.rglob("*"))
    raise asked[0] if asked else errors["volumes" if volumes and "volumes" in errors else next(iter(errors))]


def _kind_of(parts: Parts) -> str:
    """Layout by the kind of the first image."""
    image = next((case["image"] for cases in parts.values() for case in cases), "")
    first = str(image if isinstance(image, str) else image[0])
    return "volumes" if first.lower().endswith(VOLUME_SUFFIXES) or os.path.isdir(first) else "folder"


def _own(where: Path, dataset: str, layout: Layout, colours: str | os.PathLike[str] | None) -> FoundData:
    kind = _OWN[dataset]
    layout = with_joined_objects(where, layout, kind)
    if dataset == "volumes":
        add_patients(where if where.is_dir() else where.parent, layout.parts)
    facts = class_facts(where, layout.parts, kind, None if colours is None else existing_path(colours))
    description = description_of(where)
    content = read_dataset_json(description) if description.is_file() else {}
    cases = [case for members in layout.parts.values() for case in members]
    return FoundData(
        path=where,
        dataset=dataset,
        kind=kind,
        description="; ".join(filter(None, [layout.description, facts.remark])),
        parts=layout.parts,
        class_names=facts.names,
        label_values=unless_default(facts.table, facts.names)
        if facts.names and isinstance(facts.table, Mapping)
        else facts.table,
        ignore_value=facts.ignore_value,
        channels=_channels(cases, kind),
        channel_names=_channel_names(content) or layout.channel_names,
        left_out=_left_out(where, layout, [*layout.tables, *facts.tables]) if where.is_dir() else "",
    )


def _channel_names(content: Mapping[str, Any]) -> list[str] | None:
    names = content.get("channel_names", content.get("modality"))
    if not isinstance(names, Mapping) or not all(str(key).isdigit() for key in names):
        return None
    return [str(names[key]) for key in sorted(names, key=int)] or None


def _channels(cases: list[Case], files: str) -> int | None:
    if not cases:
        return None
    image = cases[0]["image"]
    paths = [image] if isinstance(image, str) else image
    if files != "images":
        return len(paths)
    try:
        return sum(int(read_image(path).shape[2]) for path in paths)
    except CASE_ERRORS:  # left to the check, which names every such file
        return None


def _left_out(folder: Path, layout: Layout, read: Sequence[Path]) -> str:
    """Line about what is not used: not the cases, their masks of single objects, or the tables that were read."""
    objects = [path for paths in layout.objects.values() for path in paths]
    # Voxels beside the header that names them.
    objects += [
        path.with_suffix(s) for path in files_of(layout.parts) for s in _VOXELS if path.suffix in (".mhd", ".nhdr")
    ]
    tables = [folder / "dataset.json", folder / PATIENT_TABLE, folder / SPLITS, *read]
    return str(unused_files(folder, [*files_of(layout.parts), *objects, *tables]))
