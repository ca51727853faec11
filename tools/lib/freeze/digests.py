# SPDX-License-Identifier: Apache-2.0
"""SHA-256 of what a run leaves: contents and not bytes of files, so that neither times nor paths nor versions count."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from PIL import Image


def digest(*parts: Any) -> str:
    """Digest of arrays (type, shape, values), tensors, tables of them and plain values, in the order of the names."""
    found = hashlib.sha256()
    for part in parts:
        _add(found, part)
    return found.hexdigest()


def _add(found: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        found.update(f"array {value.dtype.str} {value.shape}".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            found.update(f"key {key}".encode())
            _add(found, value[key])
    elif isinstance(value, (list, tuple)):
        found.update(f"list {len(value)}".encode())
        for item in value:
            _add(found, item)
    else:
        found.update(f"{type(value).__name__} {value!r}".encode())


def weights(models: Path) -> dict[str, str]:
    """Digests of the weights that were selected, and of those of the last epoch with the optimizer's state."""
    selected = torch.load(models / "model.pt", map_location="cpu", weights_only=True)
    last = torch.load(models / "last_state.pt", map_location="cpu", weights_only=True)
    return {"model.pt": digest(selected), **{f"last {key}": digest(last[key]) for key in ("model", "optimizer")}}


def maps(folder: Path) -> dict[str, str]:
    """Digests of label maps and probabilities by name of the file: array and affine."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name.endswith((".nii", ".nii.gz")):
            image = nib.load(path)
            content = (np.asarray(image.dataobj), image.affine)
        elif path.suffix == ".npy":
            content = (np.load(path),)
        else:
            content = (np.asarray(Image.open(path)),)
        found[path.relative_to(folder).as_posix()] = digest(*content)
    return found


def tables(folder: Path, *places: Path) -> dict[str, str]:
    """Digests of the table of the cases and of the summary, without versions and the places where files lay."""
    names = ("metrics_per_case.csv", "metrics_summary.json")
    rows, summary = ((folder / name).read_text(encoding="utf-8") for name in names)
    for place in places:
        rows, summary = rows.replace(str(place), ""), summary.replace(str(place), "")
    content = json.loads(summary)
    content.pop("software", None)
    return {"metrics_per_case.csv": digest(rows), "metrics_summary.json": digest(content)}


def curves(folder: Path) -> dict[str, list[float]]:
    """What a training wrote for TensorBoard: loss of each iteration, learning rate, validation scores."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [event.value for event in events.Scalars(tag)] for tag in sorted(events.Tags()["scalars"])}
