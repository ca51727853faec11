# SPDX-License-Identifier: Apache-2.0
"""Which cases of a long batch are finished, so that the next run goes on where the last one was stopped.

One small JSON file per case, written when the files of the case are on the disk, and like them whole or not at all.
So a record is true after Ctrl-C, ``kill -9``, a power failure or a full disk, and several programs on one file system
never write to the same file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sa2_monai.io.digest import digest_of
from sa2_monai.io.names import file_name
from sa2_monai.weights import write_json

__all__ = ["CaseManifest"]

FINISHED, FAILED, MISSING = "finished", "failed", "missing"


class CaseManifest:
    """Records of the cases of a batch.

    A case is finished when its record says so, its input files and the settings are those of the record, and its
    output files are still what was written. Files are compared by size and time; where only the time is another (a
    copy), by SHA-256.

    Args:
        folder: for the records; made with the first of them.
        settings: all that a result depends on, beside the input: hash of the weights, options, version.
    """

    def __init__(self, folder: str | os.PathLike[str], settings: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.settings = dict(settings)
        self.digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True, default=str).encode()).hexdigest()
        self._stamps: dict[str, list[dict[str, Any]]] = {}

    def state(self, case: str, inputs: Sequence[str | os.PathLike[str]], look: bool = True) -> str:
        """State of a case: ``"finished"``, ``"failed"`` (at the last attempt), or ``"missing"``.

        Args:
            case: its name.
            inputs: its files, or the folder of a DICOM series.
            look: compare the files with the record; ``False`` believes it.
        """
        return self._state_of(self.read(case), inputs, look)

    def _state_of(self, record: dict[str, Any] | None, inputs: Sequence[str | os.PathLike[str]], look: bool) -> str:
        if record is None or record["settings"] != self.digest:
            return MISSING
        if not look:
            return str(record["status"])
        if not _unchanged(record["inputs"], inputs):
            return MISSING
        if record["status"] == FAILED:
            return FAILED
        outputs = [self.folder.parent / entry["path"] for entry in record["outputs"]]
        return FINISHED if outputs and _unchanged(record["outputs"], outputs) else MISSING

    def begin(self, case: str, inputs: Sequence[str | os.PathLike[str]]) -> None:
        """Note what the input files are, before they are read.

        Args:
            case: its name.
            inputs: its files.
        """
        self._stamps[case] = [_stamp(path) for path in inputs]

    def finish(
        self, case: str, outputs: Iterable[str | os.PathLike[str]], seconds: float | None = None, **more: Any
    ) -> None:
        """Record that a case is finished; its files are on the disk.

        Args:
            case: its name.
            outputs: the files that were written, beside or below the folder of the records.
            seconds: that it took.
            more: what else is known of it, such as its ``uncertainty``.

        Raises:
            OSError: when the record cannot be written.
        """
        files = [{**_stamp(path), "sha256": digest_of(Path(path))} for path in outputs]
        for entry in files:
            entry["path"] = os.path.relpath(entry["path"], self.folder.parent)
        self._write(case, FINISHED, outputs=files, seconds=seconds, **more)

    def fail(self, case: str, error: str, seconds: float | None = None) -> None:
        """Record that a case failed, and remove the results of an earlier run, which are not those of this input.

        Only files that the earlier record lists, and that nobody has changed since, are removed.

        Args:
            case: its name.
            error: the message.
            seconds: until it failed.

        Raises:
            OSError: when the record cannot be written.
        """
        for entry in (self.read(case) or {}).get("outputs", ()):
            path = self.folder.parent / entry["path"]
            if _unchanged([entry], [path]):
                path.unlink()
        self._write(case, FAILED, outputs=[], seconds=seconds, error=error)

    def read(self, case: str) -> dict[str, Any] | None:
        """The record of a case; ``None`` where there is none that can be read."""
        try:
            record = json.loads(self._path(case).read_text(encoding="utf-8"))
            known = {key: record[key] for key in ("status", "settings", "inputs", "outputs")}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return {**record, **known}

    def summary(self, cases: Mapping[str, Sequence[str | os.PathLike[str]]], look: bool = True) -> dict[str, Any]:
        """What all programs of a batch have done, from the records.

        Args:
            cases: name -> files, of all of them.
            look: see :meth:`state`.

        Returns:
            ``cases``, ``finished`` and ``seconds`` (numbers), ``failed`` (with message and files), ``missing`` (names
            of cases that are not done, or of which a file has changed), ``settings``.
        """
        read = {case: self.read(case) for case in cases}
        states = {case: self._state_of(read[case], files, look) for case, files in cases.items()}
        records = {case: record for case, record in read.items() if record is not None and states[case] != MISSING}
        return {
            "cases": len(cases),
            "finished": sum(state == FINISHED for state in states.values()),
            "failed": [
                {"case": case, "error": records[case].get("error"), "inputs": [str(file) for file in cases[case]]}
                for case, state in states.items()
                if state == FAILED
            ],
            "missing": [case for case, state in states.items() if state == MISSING],
            "seconds": round(sum(record.get("seconds") or 0.0 for record in records.values()), 3),
            "settings": self.settings,
        }

    def _path(self, case: str) -> Path:
        return self.folder / file_name(case, ".json")

    def _write(self, case: str, status: str, **more: Any) -> None:
        stamps = self._stamps.get(case, [])
        # A file that was changed while it was in use has no hash, so that its new content never passes for the old one.
        inputs = [
            {**stamp, "sha256": digest_of(Path(stamp["path"])) if _stamp(stamp["path"]) == stamp else None}
            for stamp in stamps
        ]
        ended = datetime.now(timezone.utc).isoformat(timespec="seconds")
        record = {"case": case, "status": status, "settings": self.digest, "inputs": inputs, "ended": ended, **more}
        write_json(self._path(case), record)


def _stamp(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Path, bytes and a digest of sizes and times; of a folder those of the files in it, with their names."""
    source = Path(path)
    rows = []
    for file in _members(source):
        try:
            found = file.stat()
        except OSError:
            continue
        rows.append(("" if file == source else file.name, found.st_size, found.st_mtime_ns))
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return {"path": str(path), "bytes": sum(row[1] for row in rows), "stamp": digest if rows else None}


def _members(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def _unchanged(entries: Sequence[Mapping[str, Any]], paths: Sequence[str | os.PathLike[str]]) -> bool:
    if len(entries) != len(paths):
        return False
    for entry, path in zip(entries, paths, strict=True):
        found = _stamp(path)
        if found["stamp"] is None or found["bytes"] != entry["bytes"]:
            return False
        if found["stamp"] != entry["stamp"] and (entry["sha256"] is None or digest_of(Path(path)) != entry["sha256"]):
            return False
    return True
