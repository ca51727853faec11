# SPDX-License-Identifier: Apache-2.0
"""What was evaluated, with what and for how long: one file beside the report of a command."""

from __future__ import annotations

import json
import os
import platform
import socket
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.summary import software
from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.digest import digest_of

__all__ = ["MANIFEST_NAME", "RunClock", "evaluation_manifest", "write_manifest"]

MANIFEST_NAME = "run_evaluate.json"


class RunClock:
    """Start of a run, and the seconds that its steps took.

    Attributes:
        started: time in UTC, ISO 8601.
        seconds: step -> seconds.
    """

    def __init__(self) -> None:
        self.started = _now()
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """End a step; the next one begins."""
        now = time.perf_counter()
        self.seconds[step], self._last = now - self._last, now


def evaluation_manifest(
    result: EvaluationResult,
    settings: Mapping[str, Any],
    started: str,
    ended: str,
    timings: Mapping[str, float],
    second: EvaluationResult | None = None,
) -> dict[str, Any]:
    """Describe a run.

    Args:
        result: what it found.
        settings: its options, as JSON has them.
        started: time in UTC, ISO 8601.
        ended: the same.
        timings: step -> seconds.
        second: the evaluation of the model that was compared.

    Returns:
        ``status`` (``completed``, or ``failed`` when a case failed or a limit was not kept), ``started``, ``ended``,
        ``seconds``, ``timings``, ``versions``, ``device``, ``configuration``, ``seed``, ``inputs`` (path and SHA-256
        of every file, by case) and ``failed``.
    """
    evaluations = [result] if second is None else [result, second]
    files: dict[str, dict[str, Any]] = {}
    for evaluated in evaluations:
        first = evaluated is result
        for row in [*evaluated.per_case, *evaluated.failed]:
            entry = files.setdefault(row["case"], {})
            paths = {
                "prediction" if first else "compared": row["prediction_file"],
                "reference": row["reference_file"],
                "image": evaluated.images.get(row["case"]),
            }
            for role, path in paths.items():
                if isinstance(path, (str, Path)) and str(path) and role not in entry:
                    entry[role] = {"path": str(path), "sha256": digest_of(path)}
    return {
        "status": "completed" if all(item.passed for item in evaluations) else "failed",
        "started": started,
        "ended": ended,
        "seconds": round(sum(timings.values()), 3),
        "timings": {step: round(seconds, 3) for step, seconds in timings.items()},
        "versions": {**software(), "python": platform.python_version(), "platform": platform.platform()},
        "device": {"host": socket.gethostname(), "processor": platform.machine(), "cores": os.cpu_count()},
        "configuration": dict(settings),
        "seed": result.summary["protocol"]["bootstrap"]["seed"],
        "inputs": dict(sorted(files.items())),
        "failed": [entry for item in evaluations for entry in item.failed],
    }


def write_manifest(
    folder: str | Path,
    result: EvaluationResult,
    settings: Mapping[str, Any],
    clock: RunClock,
    second: EvaluationResult | None = None,
) -> Path:
    """Write ``run_evaluate.json`` of a run that ends now.

    Args:
        folder: of the report.
        result: what it found.
        settings: its options.
        clock: when it began, and how long its steps took.
        second: the evaluation of the model that was compared.

    Raises:
        OSError: when the folder cannot be written.
    """
    document = evaluation_manifest(result, settings, clock.started, _now(), clock.seconds, second)
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"
    return write_atomically(Path(folder) / MANIFEST_NAME, text)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
