# SPDX-License-Identifier: Apache-2.0
"""What a prediction by each network costs: seconds and memory of the same cases on this machine, parameters, MACs."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.launch.process import run_process
from sa2_monai.io.atomic import write_json

__all__ = ["choose_cases", "measure_costs"]

#: Cases that are timed, by kind.
CASES = {"images": 6, "volumes": 2, "preprocessed": 6}
#: glibc gives freed blocks back at once.
_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "131072"}


def choose_cases(images: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """A few cases, evenly spread over the names.

    Args:
        images: case -> path of the image, or paths of its channels.
        kind: of the data: ``"images"``, ``"volumes"`` or ``"preprocessed"``.
    """
    names = sorted(images)
    number = min(CASES[kind], len(names))
    chosen = [names[(2 * index + 1) * len(names) // (2 * number)] for index in range(number)]
    return [{"case": name, "image": _text(images[name])} for name in chosen]


def measure_costs(
    runs: Mapping[str, Path], cases: Sequence[Mapping[str, Any]], device: str | None, switches: Mapping[str, Any]
) -> dict[str, Any]:
    """Measure all networks side by side: the times in one process, the memory of each in one of its own.

    Args:
        runs: folder of a run by the name of the network.
        cases: what :func:`choose_cases` returned.
        device: ``None`` for the GPU where there is one.
        switches: values of ``inference.yaml`` by id.

    Returns:
        ``machine``, ``cases`` (their names) and ``networks``: by name ``seconds``, ``peak_mib``, ``parameters``,
        ``macs``, ``size``.

    Raises:
        RuntimeError: a process failed; its own message stands above.
    """
    job = {"cases": list(cases), "device": device, "switches": dict(switches)}
    found = _measure({**job, "what": "seconds", "runs": {name: str(run) for name, run in runs.items()}})
    networks = found["models"]
    for name, run in runs.items():
        networks[name] |= _measure({**job, "what": "memory", "runs": {name: str(run)}})["models"][name]
    return {"machine": found["machine"], "cases": [case["case"] for case in cases], "networks": networks}


def _measure(job: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="sa2_monai_") as folder:
        file, result = Path(folder) / "job.json", Path(folder) / "result.json"
        write_json(file, {**job, "result": str(result)})
        code = run_process([sys.executable, "-m", "sa2_monai.bundle.comparison.measure", str(file)], _ENVIRONMENT)
        if code:
            raise RuntimeError(f"measuring the {job['what']} failed with exit code {code}; its message stands above")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


def _text(image: Any) -> Any:
    return [os.fspath(one) for one in image] if isinstance(image, (list, tuple)) else os.fspath(image)
