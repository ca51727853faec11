# SPDX-License-Identifier: Apache-2.0
"""A CSV of pairs: a line per case with its image and its label, paths relative to the file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from sa2_monai.data.layouts.cases import Case, Parts, distinct_cases
from sa2_monai.data.layouts.channel_files import stem_of
from sa2_monai.data.layouts.discovery.layout import Layout
from sa2_monai.data.layouts.discovery.words import folder_meaning
from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.paths import existing_path
from sa2_monai.io.problems import Problems, listing

__all__ = ["TABLES", "csv_layout", "csv_parts", "find_csv", "write_pairs"]

#: Suffixes of such tables.
TABLES = (".csv", ".tsv")
# Names of the columns that people use, the first is the one that is written.
_COLUMNS = {
    "image": ("image", "images", "img", "image_path", "img_path", "image_file", "image_name", "filename", "input"),
    "label": (
        *("label", "labels", "mask", "masks", "seg", "segmentation", "gt", "annotation", "target", "ground_truth"),
        *("label_path", "mask_path", "seg_path", "gt_path", "label_file", "mask_file", "mask_name"),
    ),
    "part": ("part", "split", "set", "subset", "section", "partition", "usage", "phase"),
    "patient": ("patient", "patient_id", "group", "subject", "subject_id", "patientid"),
    "case": ("case", "case_id", "name", "id"),
}


def csv_layout(path: Path) -> Layout:
    """Cases of a CSV of pairs.

    Args:
        path: the file; columns ``image``, ``label`` and, where wanted, ``part`` (train, val, test), ``patient`` and
            ``case``, with commas, semicolons or tabs between them. Several images of a case, its channels, have ``|``
            between them.

    Returns:
        The layout.

    Raises:
        ValueError: no such columns, files that are missing, or parts that are none; all of them are named.
    """
    return Layout(f"pairs listed in {path.name}", csv_parts(path), tables=[path])


def csv_parts(path: Path) -> Parts:
    """Data lists of a CSV of pairs, see :func:`csv_layout`."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a CSV of pairs with the columns image and label")
    rows = _read(path)
    columns = _columns(rows[0] if rows else {})
    if "image" not in columns or "label" not in columns:
        found = ", ".join(rows[0]) if rows else "no lines"
        raise ValueError(f"{path}: expected a CSV of pairs with the columns image and label, found {found}")
    parts: Parts = {}
    problems = Problems(str(path))
    for row in rows:
        case: Case = {}
        for key in ("image", "label"):
            files = []
            for name in filter(None, (part.strip() for part in row[columns[key]].split("|"))):
                file = existing_path(path.parent / name)
                if not file.exists():
                    problems.add(f"{key}s that are missing", str(file), "paths are relative to the CSV; correct it")
                files.append(os.path.abspath(file))
            if len(files) > 1 and key == "label":
                problems.add("lines with several labels", row[columns[key]], "put them together into one label map")
            if files:
                case[key] = files[0] if len(files) == 1 else files
        if "image" not in case:
            problems.add("lines without an image", str(row), "add the image, or remove the line")
            continue
        first = case["image"] if isinstance(case["image"], str) else case["image"][0]
        case["case"] = (row[columns["case"]] if "case" in columns else "") or stem_of(Path(first))
        if "patient" in columns and row[columns["patient"]]:
            case["group"] = row[columns["patient"]]
        word = row[columns["part"]] if "part" in columns else ""
        part = folder_meaning(word).part if word else "training"
        if not part:
            problems.add("parts that are none", repr(word), "expected train, val or test")
            continue
        if "label" not in case and part != "test":
            problems.add("images without a label", first, "add the label to the line, or remove the line")
        parts.setdefault(part, []).append(case)
    problems.raise_if_any()
    order = [part for part in ("training", "validation", "test") if part in parts]
    return distinct_cases({part: sorted(parts[part], key=lambda case: str(case["image"])) for part in order})


def find_csv(directory: Path) -> Path | None:
    """The CSV of pairs directly in a folder, if there is one: its first line names files that exist.

    Args:
        directory: an existing folder.

    Raises:
        ValueError: there are several.
    """
    found = []
    for path in sorted(directory.iterdir()):
        if path.suffix.lower() not in TABLES or path.name.startswith(".") or not path.is_file():
            continue
        try:
            rows = _read(path)
        except (ValueError, csv.Error):
            continue
        columns = _columns(rows[0] if rows else {})
        if "image" in columns and "label" in columns:
            names = [part.strip() for part in rows[0][columns["image"]].split("|")]
            if names[0] and all((path.parent / name).exists() for name in names):
                found.append(path)
    if len(found) > 1:
        raise ValueError(
            f"{directory}: has {listing([path.name for path in found])}, each a CSV of pairs; give one of them as "
            "DATA, with a column 'part' for train, val and test"
        )
    return found[0] if found else None


def write_pairs(path: str | os.PathLike[str], parts: Mapping[str, list[Case]]) -> Path:
    """Write a CSV of pairs, which is data by itself.

    Args:
        path: the file; paths in it are relative to its folder.
        parts: cases by part.

    Returns:
        The file.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(os.path.abspath(path))
    grouped = any("group" in case for cases in parts.values() for case in cases)
    columns = ["image", "label", "part", "case", *(["patient"] if grouped else [])]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    listed = set(parts) - {"training"}
    for part, cases in parts.items():
        for case in cases:
            images = case["image"] if isinstance(case["image"], list) else [case["image"]]
            row = ["|".join(os.path.relpath(image, target.parent) for image in images)]
            row += [os.path.relpath(case["label"], target.parent) if "label" in case else ""]
            row += [part if listed else "", str(case["case"])]
            table.writerow([*row, case.get("group", "")] if grouped else row)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, text.getvalue().encode())
    return target


def _read(path: Path) -> list[dict[str, str]]:
    """Lines by the names of their columns; the separator is the one that the first line has most of."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not a text file in UTF-8; save it as CSV UTF-8") from error
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    lines = csv.DictReader(io.StringIO(text), delimiter=separator)
    return [
        {(name or "").strip(): (field or "").strip() for name, field in line.items() if not isinstance(field, list)}
        for line in lines
    ]


def _columns(row: Mapping[str, str]) -> dict[str, str]:
    """Column by what it stands for."""
    normal = {name.lower().replace(" ", "_").replace("-", "_"): name for name in row}
    return {
        key: next(normal[name] for name in names if name in normal)
        for key, names in _COLUMNS.items()
        if any(name in normal for name in names)
    }
