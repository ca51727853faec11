# SPDX-License-Identifier: Apache-2.0
"""Time and memory of models, measured in a process of its own.

``python -m sa2_monai.bundle.comparison.measure JOB RESULT``, two JSON files. For the times the models take turns (A, B,
A, B ...), so that a busy machine slows all of them. Memory is that of a fresh process with one model.
"""

from __future__ import annotations

import ctypes
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.comparison.machine import machine_facts, peak_memory
from sa2_monai.bundle.comparison.model import TimedModel
from sa2_monai.io.atomic import write_json

__all__ = ["main", "measure", "take_turns"]

TURNS = 5  # behind the one for warming up
_ENOUGH = 120.0  # seconds after which no further turn begins
_M_MMAP_THRESHOLD = -3  # of mallopt


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a job says.

    Args:
        job: ``runs`` (by name, with the ``folder`` of the run), ``cases`` (``image`` and ``case`` of each), ``device``,
            ``switches``, and ``what``: ``"seconds"`` of all models, or ``"memory"`` of each.

    Returns:
        ``machine`` and ``models``: by name ``seconds`` (of a case, the mean over the cases of the median over the
        turns), ``parameters``, ``macs`` and ``size``; or ``peak_mib``, of the case that needs most.
    """
    models = {name: TimedModel(run["folder"], job["device"], job["switches"]) for name, run in job["runs"].items()}
    device = next(iter(models.values())).device
    if job["what"] == "memory":
        found = {name: {"peak_mib": _peak(model, job["cases"])} for name, model in models.items()}
    else:
        seconds = _seconds(models, job["cases"])
        found = {name: {"seconds": seconds[name], **model.facts()} for name, model in models.items()}
    return {"machine": machine_facts(device), "models": found}


def _seconds(models: Mapping[str, TimedModel], cases: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    totals = dict.fromkeys(models, 0.0)
    for case in cases:
        works = {name: _work(model, case) for name, model in models.items()}
        for name, seconds in take_turns(works, TURNS, _ENOUGH / len(cases)).items():
            totals[name] += seconds
    return {name: total / len(cases) for name, total in totals.items()}


def take_turns(works: Mapping[str, Callable[[], Any]], turns: int, enough: float) -> dict[str, float]:
    """Seconds of several works, each in its turn; the median over the turns, of which the first does not count.

    Args:
        works: by name.
        turns: that count, at most.
        enough: seconds after which no further turn begins; one turn counts in any case.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    began = time.perf_counter()
    for turn in range(turns + 1):
        if turn > 1 and time.perf_counter() - began > enough:
            break
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if turn:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def _peak(model: TimedModel, cases: Sequence[Mapping[str, Any]]) -> float | None:
    peaks = [peak_memory(_work(model, case), model.device) for case in cases]
    return None if None in peaks else max(peaks)  # type: ignore[type-var]


def _work(model: TimedModel, case: Mapping[str, Any]) -> Callable[[], None]:
    image = model.read(case)
    return lambda: model.segment(image)


def main(file: Path, result: Path) -> None:
    """Do a job.

    Args:
        file: the job.
        result: gets what :func:`measure` returns, and the ``job`` itself.
    """
    job = json.loads(file.read_text(encoding="utf-8"))
    write_json(result, {"job": job, **measure(job)})


def _give_back_freed_blocks() -> None:
    """Glibc keeps them for later; in its holes memory would be used that is not seen."""
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # another C library has none
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, 131_072)


if __name__ == "__main__":
    _give_back_freed_blocks()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
