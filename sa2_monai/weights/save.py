# SPDX-License-Identifier: Apache-2.0
"""Tensor-only weight files and the sidecar that says what they are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_of

from sa2_monai.io.atomic import atomic_write, write_json
from sa2_monai.io.digest import sha256_of
from sa2_monai.version import __version__
from sa2_monai.weights.state import plain

__all__ = ["OWN_KEYS", "read_info", "save_weights", "sidecar_of"]

#: What a sidecar says about its file; all else is about the model.
OWN_KEYS = ("file", "sha256", "bytes", "tensors", "parameters", "sa2_monai", "replaces")


def save_weights(
    state_dict: Mapping[str, torch.Tensor], path: str | os.PathLike[str], info: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write a flat state dict to ``path`` and a description beside it to ``<stem>.json``.

    At each moment, also when the process is killed in between, the pair on the disk is consistent for
    :func:`read_info` and :func:`~sa2_monai.weights.load_weights`.

    Args:
        state_dict: tensors by name.
        path: the file, by habit ``*.pt``; ``*.safetensors`` makes one that other programs read, too.
        info: what a user of the weights must know (network, in_channels, out_channels, class_names, view, roi_size,
            intensity, channel_order, epoch, metric, ...). Built-in types, or what :func:`plain` can turn into them.

    Returns:
        The sidecar: ``info`` and ``file``, ``sha256`` of the file, ``bytes``, ``tensors``, ``parameters`` (number of
        values without counters), ``sa2_monai`` (version).

    Raises:
        TypeError: for a value that is not a tensor, or info that a file cannot hold.
        ValueError: when info uses one of the sidecar's own names, or ``path`` ends in ``.json``.
        OSError: when a file cannot be written; the old ones are kept.
    """
    path = Path(path)
    info = dict(info or {})
    if path.suffix == ".json":
        raise ValueError(f"{path}: weights cannot be named like their sidecar; use the suffix .pt.")
    if taken := sorted(set(info) & set(OWN_KEYS)):
        raise ValueError(
            f"info for {path.name} must not contain {', '.join(taken)}: these are written by save_weights."
        )
    tensors: dict[str, torch.Tensor] = {}
    for name, value in state_dict.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{name} is of type {type(value).__name__}; {path.name} can hold tensors only.")
        # clone: a view would drag its whole storage into the file
        tensors[str(name)] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    record: dict[str, Any] = {
        "file": path.name,
        "sha256": "",
        "bytes": 0,
        "tensors": len(tensors),
        "parameters": sum(value.numel() for value in tensors.values() if value.is_floating_point()),
        "sa2_monai": __version__,
        **json.loads(json.dumps(plain(info, "info"))),
    }
    old_record = _record_of(path) if path.is_file() else {}
    sidecar = sidecar_of(path)

    def write_pair(file: Any) -> None:
        if path.suffix.lower() == ".safetensors":
            file.write(safetensors_of(tensors))
        else:
            torch.save(tensors, file)
        file.flush()
        record["sha256"], record["bytes"] = sha256_of(file.name), os.path.getsize(file.name)
        # Before the weights are renamed the sidecar describes both: the new ones and those they replace.
        write_json(sidecar, {**record, "replaces": old_record} if old_record else record)

    atomic_write(path, write_pair)
    if old_record:
        write_json(sidecar, record)
    return record


def read_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Sidecar of a weight file.

    Args:
        path: the weight file (not the sidecar).

    Returns:
        What :func:`save_weights` wrote; empty when there is no sidecar.

    Raises:
        ValueError: when the sidecar is not the JSON that :func:`save_weights` writes.
    """
    sidecar = sidecar_of(path)
    if not sidecar.is_file():
        return {}
    try:
        record = json.loads(sidecar.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or not isinstance(record.get("sha256"), str):
            raise ValueError("it has no sha256")
    except ValueError as error:
        raise ValueError(
            f"{sidecar} does not describe weights ({error}). Restore it, or delete it to use {Path(path).name} "
            "unchecked."
        ) from error
    replaced = record.pop("replaces", None)
    # The writer was stopped between the two files: the weights on the disk may still be the older ones.
    if replaced and Path(path).is_file() and sha256_of(path) == replaced["sha256"]:
        return dict(replaced)
    return record


def _record_of(path: Path) -> dict[str, Any]:
    """Sidecar of the weights that are about to be replaced; at least their hash."""
    try:
        return read_info(path) or {"sha256": sha256_of(path)}
    except ValueError:  # a sidecar that nobody can read is no reason not to save
        return {"sha256": sha256_of(path)}


def sidecar_of(path: str | os.PathLike[str]) -> Path:
    """``model.json`` for ``model.pt``."""
    return Path(path).with_suffix(".json")
