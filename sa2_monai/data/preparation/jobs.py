# SPDX-License-Identifier: Apache-2.0
"""One job of a preparation: run beside its place, moved in when it is complete, and recorded.

The record of a job is written before its files are moved in, and counts only while every file it names is there with
its hash. So whatever stops the program, the next run finds out which jobs are not done.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sa2_monai.data.dataset import Job
from sa2_monai.data.layouts.cases import Case
from sa2_monai.data.preparation.folder import DESCRIPTION, MANIFEST, WORK, read_object, write_object
from sa2_monai.io.digest import sha256_of
from sa2_monai.version import __version__

__all__ = ["PARTS", "Record", "finished_record", "recorded_names", "remove_leftovers", "run_job"]

#: ``version``, ``name``, ``options``, ``sources`` (path -> size, mtime_ns, sha256), ``outputs`` (path -> sha256),
#: ``cases``. Paths of sources are relative to the data set where they lie in it, those of outputs to the folder.
Record = dict[str, Any]

PARTS = ("training", "validation", "test")
_RECORDS, _MAKING = "jobs", "making"


def finished_record(job: Job, directory: Path, out: Path) -> Record | None:
    """The record of a job that need not run again: the same sources, options and version, and all its files intact.

    Sources of the same size and time of change are taken as unchanged, others are compared by their hash.

    Args:
        job: the job.
        directory: the data set's folder.
        out: folder of the preparation.

    Returns:
        The record, or ``None`` if the job has to run.
    """
    path = _record_path(out, job)
    record = read_object(path)
    if record is None or record["version"] != __version__ or record["options"] != _options(job):
        return None
    sources = {source_name(source, directory): source for source in job.sources}
    if list(record["sources"]) != list(sources):
        return None
    touched = False
    for name, source in sources.items():
        then = record["sources"][name]
        try:
            now = _times(source)
            if now != {key: then[key] for key in now}:
                if now["size"] != then["size"] or _source_sha256(source, **now) != then["sha256"]:
                    return None
                then.update(now)
                touched = True
        except OSError:
            return None  # the run will say what is wrong with it
    if not all((out / name).is_file() and sha256_of(out / name) == sha for name, sha in record["outputs"].items()):
        return None
    if touched:
        write_object(path, record)
    return record


def run_job(job: Job, directory: Path, out: Path) -> Record:
    """Run a job and put its files in place, all of them or none.

    Args:
        job: the job.
        directory: the data set's folder.
        out: folder of the preparation.

    Returns:
        Its record.

    Raises:
        OSError: a source cannot be read, or the folder not written.
        ValueError: a source that the job cannot use, or that changed meanwhile.
        RuntimeError: the job returned cases that it did not write.
    """
    place = out / WORK / _MAKING / quote(job.name, safe="")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        sources = {source_name(source, directory): _state(source) for source in job.sources}
        cases = job.run(job, place)
        for source, state in zip(job.sources, sources.values(), strict=True):
            if (now := _times(source)) != {key: state[key] for key in now}:
                raise ValueError(f"{source}: changed while it was read; run again when it is complete")
        files = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
        _check(job, cases, files)
        record = {
            "version": __version__,
            "name": job.name,
            "options": _options(job),
            "sources": sources,
            "outputs": {name: sha256_of(place / name) for name in files},
            "cases": cases,
        }
        _move_in(job, place, out, record)
        return record
    finally:
        shutil.rmtree(place, ignore_errors=True)


def recorded_names(out: Path) -> set[str]:
    """Names of the jobs that have a record.

    Args:
        out: folder of the preparation.
    """
    records = (read_object(path) for path in (out / WORK / _RECORDS).glob("*.json"))
    return {record["name"] for record in records if record is not None}


def remove_leftovers(out: Path) -> None:
    """Remove what a killed process left unfinished.

    Args:
        out: folder of the preparation.
    """
    shutil.rmtree(out / WORK / _MAKING, ignore_errors=True)


def source_name(source: Path, directory: Path) -> str:
    """Path of a source as it stands in the manifest: relative where it lies in the data set, so that this may move."""
    return source.relative_to(directory).as_posix() if source.is_relative_to(directory) else source.as_posix()


def _check(job: Job, cases: Sequence[Case], files: Sequence[str]) -> None:
    written = set(files)
    reserved = [name for name in files if name in (DESCRIPTION, MANIFEST) or name.split("/")[0] == WORK]
    if reserved:
        raise RuntimeError(f"job {job.name!r} wrote {reserved[0]}, which the preparation itself writes")
    for case in cases:
        images = case["image"] if isinstance(case["image"], list) else [case["image"]]
        for name in (*images, *(case[key] for key in ("label", "instances") if key in case)):
            if name not in written:
                raise RuntimeError(
                    f"job {job.name!r} lists {name}, which it did not write; it wrote {len(files)} files"
                )
        if case["section"] not in PARTS:
            raise RuntimeError(f"job {job.name!r}: section is {case['section']!r}, expected one of {', '.join(PARTS)}")


def _move_in(job: Job, place: Path, out: Path, record: Record) -> None:
    """Put the files in place; those of a former run of the job that it no longer makes are removed."""
    path = _record_path(out, job)
    former = read_object(path) or {"outputs": {}}
    for name in former["outputs"].keys() - record["outputs"].keys():
        (out / name).unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_object(path, record)
    for folder in sorted({(out / name).parent for name in record["outputs"]}):
        folder.mkdir(parents=True, exist_ok=True)
    for name in record["outputs"]:
        os.replace(place / name, out / name)


def _record_path(out: Path, job: Job) -> Path:
    return out / WORK / _RECORDS / f"{quote(job.name, safe='')}.json"


def _options(job: Job) -> dict[str, Any]:
    """Options as JSON gives them back: tuples are lists there."""
    options: dict[str, Any] = json.loads(json.dumps(dict(job.options)))
    return options


def _times(source: Path) -> dict[str, int]:
    stat = source.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _state(source: Path) -> dict[str, Any]:
    times = _times(source)
    return {**times, "sha256": _source_sha256(source, **times)}


@lru_cache(maxsize=256)
def _source_sha256(source: Path, size: int, mtime_ns: int) -> str:
    """Hash of a source in this state; several jobs may take pieces of one large archive."""
    return sha256_of(source)
