# SPDX-License-Identifier: Apache-2.0
"""The ``dataset.json`` and the manifest of a preparation, made of the records of its jobs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.data.dataset import DataSet
from sa2_monai.data.layouts.cases import Case
from sa2_monai.data.preparation.folder import DESCRIPTION, MANIFEST, object_bytes, write_object
from sa2_monai.data.preparation.jobs import PARTS, Record
from sa2_monai.version import __version__

__all__ = ["write_lists"]

_KEYS = ("image", "label", "instances", "case", "group")


def write_lists(folder: Path, settings: Mapping[str, Any], entry: DataSet, records: Sequence[Record]) -> dict[str, int]:
    """Write ``dataset.json`` and, last, ``manifest.json``; their bytes depend on the arguments only.

    Args:
        folder: folder of the preparation.
        settings: data set, form and split.
        entry: the data set.
        records: one per job.

    Returns:
        Number of cases by part.

    Raises:
        ValueError: two jobs wrote one file, or cases of one name.
        OSError: the folder cannot be written.
    """
    outputs: dict[str, str] = {}
    sources: dict[str, str] = {}
    names: dict[str, str] = {}
    parts: dict[str, list[Case]] = {part: [] for part in PARTS}
    for record in records:
        for name, sha in record["outputs"].items():
            if name in outputs:
                raise ValueError(f"{folder}: two jobs wrote {name}, one of them {record['name']!r}")
            outputs[name] = sha
        for case in record["cases"]:
            if case["case"] in names:
                raise ValueError(
                    f"{folder}: the jobs {names[case['case']]!r} and {record['name']!r} both have the case "
                    f"{case['case']!r}; results are named by it"
                )
            names[case["case"]] = record["name"]
            parts[case["section"]].append({key: case[key] for key in _KEYS if key in case})
        sources.update((name, state["sha256"]) for name, state in record["sources"].items())
    description = _description(settings, entry, parts)
    outputs[DESCRIPTION] = hashlib.sha256(object_bytes(description)).hexdigest()
    manifest = {
        **settings,
        "sa2_monai": __version__,
        "jobs": {
            record["name"]: {"options": record["options"], "sources": list(record["sources"])} for record in records
        },
        "sources": dict(sorted(sources.items())),
        "outputs": dict(sorted(outputs.items())),
    }
    if hasattr(os, "sync") and not (folder / MANIFEST).is_file():
        os.sync()  # a manifest must not survive a power failure that its files did not
    write_object(folder / DESCRIPTION, description)
    write_object(folder / MANIFEST, manifest)
    return {part: len(cases) for part, cases in parts.items()}


def _description(settings: Mapping[str, Any], entry: DataSet, parts: Mapping[str, list[Case]]) -> dict[str, Any]:
    """Content of a ``dataset.json`` as the decathlon has it, with case names and groups."""
    prepared = entry.preparations[settings["form"]].description
    return {
        "name": settings["dataset"],
        "description": f"{entry.title} - {prepared}" if entry.title else prepared,
        "reference": entry.citation,
        "homepage": entry.homepage,
        "licence": entry.licence,
        "labels": {str(number): name for number, name in enumerate(entry.classes or ())},
        "numTraining": len(parts["training"]),
        "numValidation": len(parts["validation"]),
        "numTest": len(parts["test"]),
        **{part: sorted(cases, key=lambda case: str(case["case"])) for part, cases in parts.items()},
    }
