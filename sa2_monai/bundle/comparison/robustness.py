# SPDX-License-Identifier: Apache-2.0
"""How the networks bear corrupted images: ``sa2-monai stress`` of the first fold, on the cases that it has held out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.stress.run import STATE, stress_run
from sa2_monai.bundle.stress.table import loss_text
from sa2_monai.io.causes import root_cause

__all__ = ["losses_of", "stress_networks"]


def stress_networks(runs: Mapping[str, Path], folder: Path, device: str | None) -> dict[str, Any]:
    """Test each network; what is done is kept, and one that fails is told and left out.

    Args:
        runs: of the first fold by the name of the network; all have held out the same cases.
        folder: of the comparison; gets ``stress/<network>/``.
        device: ``None`` for the GPU where there is one.

    Returns:
        Content of ``stress.json`` by the name of the network.
    """
    found = {}
    for name, run in runs.items():
        out = folder / "stress" / run.parent.name
        print(f"\ncorrupted images: {name}", flush=True)
        try:
            found[name] = stress_run(
                run, output=out, section="validation", device=device, resume=(out / STATE).is_file()
            )
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            print(f"{name} was not tested: {' '.join(root_cause(error).split())}", flush=True)
    return found


def losses_of(stress: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Where each network loses 5 points, in words: by the title of the corruption and the name of the network.

    Args:
        stress: what :func:`stress_networks` returned.
    """
    lines: dict[str, dict[str, str]] = {}
    for name, document in stress.items():
        for corruption in document["corruptions"].values():
            lines.setdefault(corruption["title"], {})[name] = loss_text(corruption["loses_5_points_at"])
    return lines
