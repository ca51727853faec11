# SPDX-License-Identifier: Apache-2.0
"""What was evaluated, with what and for how long: one file beside the report of a command."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.summary import software

__all__ = ["MANIFEST_NAME", "evaluation_manifest", "hash_file"]

MANIFEST_NAME = "run_evaluate.json"


def hash_file(path: str | os.PathLike[str]) -> str | None:
    """SHA-256 of a file as 64 hexadecimal digits; ``None`` when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


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
    files: dict[str, dict[str, Any]] = {}
    for evaluated in filter(None, (result, second)):
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
                    entry[role] = _file(path)
    failed = [*result.failed, *(second.failed if second is not None else [])]
    kept = all(item["passed"] for item in result.summary.get("limits", []))
    return {
        "status": "completed" if kept and not failed else "failed",
        "started": started,
        "ended": ended,
        "seconds": round(sum(timings.values()), 3),
        "timings": {step: round(seconds, 3) for step, seconds in timings.items()},
        "versions": {**software(), "python": platform.python_version(), "platform": platform.platform()},
        "device": {"host": socket.gethostname(), "processor": platform.machine(), "cores": os.cpu_count()},
        "configuration": dict(settings),
        "seed": result.summary["protocol"]["bootstrap"]["seed"],
        "inputs": dict(sorted(files.items())),
        "failed": failed,
    }


def _file(path: str | Path) -> dict[str, Any]:
    return {"path": str(path), "sha256": hash_file(path)}
