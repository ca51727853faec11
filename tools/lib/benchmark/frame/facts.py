# SPDX-License-Identifier: Apache-2.0
"""What figures are of: the machine, the versions, the commit."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from sa2_monai.bundle.comparison.machine import machine_facts

__all__ = ["facts"]

_PACKAGES = "sa2_monai monai torch numpy scipy medpy surface-distance torchmetrics nnunetv2 openvino onnxruntime"


def facts(device: str) -> dict[str, Any]:
    """``machine``, ``versions`` of what is installed, and ``commit`` (None outside a repository).

    Args:
        device: ``"cpu"`` or ``"cuda"``; a GPU that is not there is the reason for which a suite is skipped.
    """
    versions = {}
    for package in _PACKAGES.split():
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    there = not device.startswith("cuda") or torch.cuda.is_available()
    return {"machine": machine_facts(device if there else "cpu"), "versions": versions, "commit": _commit()}


def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).resolve().parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
