# SPDX-License-Identifier: Apache-2.0
"""What was run, with what, on what, for how long: one file per run."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from sa2_monai.io.digest import digest_of, sha256_of
from sa2_monai.training.distributed import rank, world_size
from sa2_monai.version import __version__
from sa2_monai.weights import plain, write_json

__all__ = ["RunRecord"]

_PACKAGES = {"torch": "torch", "monai": "monai", "ignite": "pytorch-ignite", "numpy": "numpy"}


class RunRecord:
    """Write ``run.json`` when an engine starts, bring it up to date after each epoch, and complete it at the end.

    It holds ``status`` (``running``, ``completed``, ``failed``, ``interrupted``; a killed run stays ``running``),
    ``started`` and ``ended`` (UTC), ``seconds``, ``epochs`` (seconds of each, its validation included), ``versions``,
    ``device``, ``processes``, ``bundle`` (name, version), ``configuration``, ``seed``, ``inputs`` (number and SHA-256
    of the list, of each file when asked), ``weights`` (path and SHA-256 of the file at the start, and again at the end)
    and, of an engine that keeps such a list, ``cases`` with the seconds and the error of each; of a training that
    :class:`EarlyStop` has ended, ``stopped``: ``"patience"`` or ``"time"``.

    An exception goes on to the other handlers, or up when there are none. Rank 0 writes.

    Args:
        output_dir: folder for ``run.json``; made when needed.
        configuration: switches of the run; its ``seed`` is recorded as that of the run.
        inputs: data list; its order counts.
        weights: weight file that the run uses or makes.
        filename: name of the file; runs that share ``output_dir`` need different ones.
        bundle_root: folder of the bundle, whose ``configs/metadata.json`` is asked for name and version.
        hash_files: also record the SHA-256 of every file of ``inputs`` (of a folder: of its files' hashes by name).

    Raises:
        OSError: when the file cannot be written.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        configuration: Mapping[str, Any],
        inputs: Sequence[Any] | None = None,
        weights: str | os.PathLike[str] | None = None,
        filename: str = "run.json",
        bundle_root: str | os.PathLike[str] | None = None,
        hash_files: bool = False,
    ) -> None:
        self.path = Path(output_dir) / filename
        self.configuration = configuration
        self.inputs = inputs
        self.weights = weights
        self.bundle_root = bundle_root
        self.hash_files = hash_files
        self._record: dict[str, Any] = {}
        self._started = self._epoch_started = 0.0

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer or an evaluator."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        engine.add_event_handler(Events.COMPLETED, self._end)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)
        # Ahead of the others: MONAI's StatsHandler raises the exception again, and Ignite asks no more handlers then.
        handlers = engine._event_handlers[Events.EXCEPTION_RAISED]
        handlers.insert(0, handlers.pop())

    def _start(self, engine: Engine) -> None:
        self._started = time.perf_counter()
        self._record = {
            "status": "running",
            "started": _now(),
            "ended": None,
            "seconds": None,
            "epochs": [],
            "versions": _versions(),
            "device": _device(engine),
            "processes": world_size(),
            "bundle": _bundle(self.bundle_root),
            "configuration": _json(self.configuration),
            "seed": _json(self.configuration.get("seed")),
            "inputs": _list_hash(self.inputs, self.hash_files and rank() == 0),
            "weights": None,
        }
        # Behind all handlers of the list, so that an epoch's time includes its validation.
        if not engine.has_event_handler(self._end_epoch, Events.EPOCH_COMPLETED):
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._end_epoch)
        self._hash_weights()
        self._write()

    def _start_epoch(self, _: Engine) -> None:
        self._epoch_started = time.perf_counter()

    def _end_epoch(self, engine: Engine) -> None:
        seconds = round(time.perf_counter() - self._epoch_started, 3)
        self._record["epochs"].append({"epoch": engine.state.epoch, "seconds": seconds})
        self._write()

    def _end(self, engine: Engine) -> None:
        cases = getattr(engine, "cases", None)  # of sa2_monai.inference.CaseEvaluator
        if cases is not None:
            self._record["cases"] = _json(cases)
        if getattr(engine.state, "stopped", None):
            self._record["stopped"] = engine.state.stopped  # type: ignore[attr-defined]
        failed = any(case["status"] == "failed" for case in cases or ())
        self._finish("completed with failed cases" if failed else "completed")

    def _fail(self, engine: Engine, error: BaseException) -> None:
        if self._record and self._record["status"] == "running":  # Ignite may report one error twice
            self._record["error"] = f"{type(error).__name__}: {error}"
            self._finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        if len(engine._event_handlers[Events.EXCEPTION_RAISED]) == 1:  # a handler that returns hides the exception
            raise error

    def _finish(self, status: str) -> None:
        self._record["status"] = status
        self._record["ended"] = _now()
        self._record["seconds"] = round(time.perf_counter() - self._started, 3)
        self._hash_weights()
        self._write()

    def _hash_weights(self) -> None:
        if rank() == 0 and self.weights is not None and Path(self.weights).is_file():
            self._record["weights"] = {"path": str(self.weights), "sha256": sha256_of(self.weights)}

    def _write(self) -> None:
        if rank() == 0:
            write_json(self.path, self._record)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    versions = {"sa2_monai": __version__, "python": platform.python_version(), "platform": platform.platform()}
    return versions | {name: _version(distribution) for name, distribution in _PACKAGES.items()}


@functools.cache
def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # e.g. monai-weekly
        return "unknown"


def _device(engine: Engine) -> str:
    device = getattr(engine.state, "device", None)
    if device is not None and torch.device(device).type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def _json(value: Any) -> Any:
    """A value as JSON has it; what is not data (a component of the configuration) by its description."""
    try:
        return json.loads(json.dumps(plain(value)))
    except TypeError:
        if isinstance(value, Mapping):
            return {str(key): _json(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [_json(item) for item in value]
        return str(value)


def _list_hash(inputs: Sequence[Any] | None, files: bool) -> dict[str, Any] | None:
    if inputs is None:
        return None
    text = json.dumps(_json(list(inputs)), sort_keys=True)
    found: dict[str, Any] = {"count": len(inputs), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    if files:
        paths = [
            item[key] for item in inputs for key in ("image", "label") if isinstance(item, Mapping) and key in item
        ]
        names = [name for path in paths for name in (path if isinstance(path, (list, tuple)) else [path])]
        found["files"] = {str(name): digest_of(Path(name)) for name in names}
    return found


def _bundle(root: str | os.PathLike[str] | None) -> dict[str, Any] | None:
    """Name and version of the bundle, ``None`` where there is no metadata file."""
    try:
        content = json.loads((Path(root or ".") / "configs" / "metadata.json").read_text(encoding="utf-8"))
        return {"name": content.get("name"), "version": content.get("version")}
    except (OSError, ValueError, AttributeError):
        return None
