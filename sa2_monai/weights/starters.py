# SPDX-License-Identifier: Apache-2.0
"""Starter models: small trained weights that come with the package, to begin with and to start trainings from."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["STARTERS", "starter_file", "starter_names"]

#: Weights in half precision (safetensors), their sidecars, their cards.
STARTERS = Path(__file__).resolve().parents[1] / "starters"
_SUFFIX = ".safetensors"


def starter_names() -> list[str]:
    """Names of the starter models, sorted."""
    return sorted(file.stem for file in STARTERS.glob(f"*{_SUFFIX}"))


def starter_file(name: str | os.PathLike[str]) -> Path | None:
    """The weight file of a starter model; ``None`` where there is no model of the name.

    Args:
        name: such as ``"nuclei"``. A file or folder of that name in the working directory comes first.
    """
    if str(name) not in starter_names() or Path(name).exists():
        return None
    return STARTERS / f"{name}{_SUFFIX}"
