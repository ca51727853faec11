# SPDX-License-Identifier: Apache-2.0
"""What a prediction by each network costs: seconds and memory of the same cases on this machine, parameters, MACs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.launch import Job, run_jobs
from sa2_monai.bundle.run.target import BEST
from sa2_monai.io.atomic import write_json
from sa2_monai.io.digest import sha256_of

__all__ = ["choose_cases", "measure_costs"]

#: Cases that are timed, by kind.
CASES = {"images": 6, "volumes": 2, "preprocessed": 6}


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
    runs: Mapping[str, Path],
    cases: Sequence[Mapping[str, Any]],
    folder: Path,
    devices: Sequence[str] | None,
    device: str | None,
    switches: Mapping[str, Any],
) -> dict[str, Any]:
    """Measure all networks side by side: the times in one process, the memory of each in one of its own.

    What was measured before of the same models and cases is taken from the folder.

    Args:
        runs: folder of a run by the name of the network.
        cases: what :func:`choose_cases` returned.
        folder: gets ``costs/``.
        devices: of the launcher; the first one is measured.
        device: ``None`` for the GPU where there is one.
        switches: values of ``inference.yaml`` by id.

    Returns:
        ``machine``, ``cases`` (their names) and ``networks``: by name ``seconds``, ``peak_mib``, ``parameters``,
        ``macs``, ``size``.

    Raises:
        JobError: a process failed; its own message stands above.
    """
    common = {"cases": list(cases), "device": device, "switches": dict(switches)}
    wanted = {"time": {**common, "what": "seconds", "runs": _models(runs)}}
    for name, run in runs.items():
        wanted[f"memory of {name}"] = {**common, "what": "memory", "runs": _models({name: run})}
    jobs = [_job(f"measuring of {what}", job, folder) for what, job in wanted.items()]
    # One after the other: side by side they would slow each other down.
    run_jobs([job for job, _ in jobs], None if devices is None else devices[:1])
    times, *memory = (json.loads(result.read_text(encoding="utf-8")) for _, result in jobs)
    networks = times["models"]
    for found in memory:
        for name, values in found["models"].items():
            networks[name] |= values
    return {"machine": times["machine"], "cases": [case["case"] for case in cases], "networks": networks}


def _models(runs: Mapping[str, Path]) -> dict[str, Any]:
    return {name: {"folder": str(run), "sha256": sha256_of(run / BEST)} for name, run in runs.items()}


def _job(name: str, content: dict[str, Any], folder: Path) -> tuple[Job, Path]:
    stem = name.replace(" ", "_").replace(":", "-")
    file, result = folder / "costs" / f"{stem}.job.json", folder / "costs" / f"{stem}.json"

    def command() -> list[str]:
        write_json(file, content)
        return [sys.executable, "-m", "sa2_monai.bundle.comparison.measure", str(file), str(result)]

    def is_done() -> bool:
        return result.is_file() and json.loads(result.read_text(encoding="utf-8"))["job"] == content

    return Job(name, command, folder / "costs", is_done), result


def _text(image: Any) -> Any:
    return [os.fspath(one) for one in image] if isinstance(image, (list, tuple)) else os.fspath(image)
