# SPDX-License-Identifier: Apache-2.0
"""Weights of a packaged bundle: a flat state dict, and the sidecar that says what it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sa2_monai.version import __version__
from sa2_monai.weights import plain, read_checkpoint, save_weights, sha256_of, write_json
from sa2_monai.weights.read import read_safely
from sa2_monai.weights.save import OWN_KEYS

__all__ = ["write_weights"]


def write_weights(source: Path, target: Path, info: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a weight file byte by byte where it is PyTorch's and a flat state dict, else write one; and its sidecar.

    Args:
        source: file of weights that fit the network.
        target: ``models/model.pt``.
        info: for the sidecar; what it says about a file is replaced.

    Returns:
        The sidecar.
    """
    about = {key: value for key, value in info.items() if key not in OWN_KEYS}
    tensors = read_checkpoint(source)
    if source.suffix.lower() == ".safetensors":  # MONAI's loaders read the files of torch.save alone
        return save_weights({name: _single(tensor) for name, tensor in tensors.items()}, target, about)
    if set(read_safely(source)) != set(tensors):  # nested, or with the prefix of a wrapper
        return save_weights(tensors, target, about)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    record: dict[str, Any] = {
        "file": target.name,
        "sha256": sha256_of(target),
        "bytes": os.path.getsize(target),
        "tensors": len(tensors),
        "parameters": sum(value.numel() for value in tensors.values() if torch.is_floating_point(value)),
        "sa2_monai": info.get("sa2_monai", __version__),
        **plain(about, "info"),
    }
    write_json(target.with_suffix(".json"), record)
    return record


def _single(tensor: torch.Tensor) -> torch.Tensor:
    """In single precision, as networks are built; counters stay whole numbers."""
    return tensor.float() if tensor.is_floating_point() else tensor
