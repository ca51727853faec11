# SPDX-License-Identifier: Apache-2.0
"""Lay a data set down once in a form that is slow to make each time, such as the slices of large volumes.

The result depends on the sources, the options and the version of this package, neither on the number of workers nor on
how often it was interrupted.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sa2_monai.data.dataset import DataSet, Job, ListOptions
from sa2_monai.data.datasets import DATASETS
from sa2_monai.data.preparation.cache import CACHE, cache_folder
from sa2_monai.data.preparation.folder import DESCRIPTION, MANIFEST, claimed_folder
from sa2_monai.data.preparation.jobs import Record, finished_record, recorded_names, remove_leftovers, run_job
from sa2_monai.data.preparation.lists import write_lists
from sa2_monai.data.registry import unknown_dataset
from sa2_monai.io.problems import FailedCasesError, listing
from sa2_monai.io.processors import usable_processors

__all__ = ["Prepared", "prepare_dataset", "prepared_in_cache"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """What a preparation came to.

    Args:
        folder: where it lies.
        form: which form it has.
        made: number of jobs that ran.
        kept: number of jobs that were finished already.
        cases: number of cases by part.
    """

    folder: Path
    form: str
    made: int
    kept: int
    cases: dict[str, int]


def prepare_dataset(
    name: str,
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    form: str | None = None,
    split: str | None = None,
    workers: int = 0,
    progress: bool = True,
) -> Prepared:
    """Prepare a data set, or finish, repair or confirm a preparation that is there.

    Jobs whose sources have not changed and whose files are intact are not run again. When all jobs are done,
    ``dataset.json`` and then ``manifest.json`` are written; a folder without the manifest is not complete.

    Args:
        name: a name of :data:`~sa2_monai.data.DATASETS` that has preparations.
        directory: the data set as downloaded.
        out: folder for the result: missing, empty, or of the same preparation.
        form: which preparation; ``None`` is the default.
        split: published split, where the data set has several.
        workers: number of worker processes; 0 works in this one.
        progress: whether a progress bar is shown on stderr.

    Returns:
        The folder and the numbers of jobs and cases.

    Raises:
        FileNotFoundError: the data set's folder is missing.
        FileExistsError: ``out`` holds other files or another preparation.
        FailedCasesError: jobs failed; the others are finished.
        ValueError: unknown data set, form or split; a data set that cannot be used; jobs whose sources went away.
        OSError: ``out`` cannot be written, or the disk is full. A further call goes on.
        RuntimeError: another process is at it, or a worker process was killed.
    """
    entry, form = _chosen(name, form, split)
    source, folder = Path(os.path.abspath(directory)), Path(os.path.abspath(out))
    if not source.is_dir():
        raise FileNotFoundError(f"{directory}: no such folder; give the folder of the data set as downloaded")
    if folder.resolve().is_relative_to(source.resolve()) and not folder.is_relative_to(source / CACHE):
        raise ValueError(f"{out}: lies in the data set {directory} itself; choose a folder outside of it")
    if workers < 0:
        raise ValueError(f"workers is {workers}, expected 0 or more processes")
    jobs = entry.preparations[form].jobs(source, ListOptions(None, split))
    if not jobs:
        raise ValueError(f"{directory}: has nothing to prepare; expected the data set {name!r} as downloaded")
    usual = entry.preparations[form].split or next(iter(entry.splits), None)
    settings = {"dataset": name, "form": form, "split": split or usual}
    with claimed_folder(folder, settings):
        _check_names(jobs, folder, source)
        remove_leftovers(folder)
        records, made = _finish(jobs, source, folder, workers, progress, f"{name}: {form}")
        cases = write_lists(folder, settings, entry, [records[name] for name in sorted(records)])
    return Prepared(folder, form, made, len(jobs) - made, cases)


def prepared_in_cache(name: str, directory: Path, cache_dir: Path | None) -> Path:
    """Folder that a data set is listed from: its own, or the default preparation of what :attr:`prepare_first` names.

    Args:
        name: a name of ``DATASETS``.
        directory: the data set's folder.
        cache_dir: see :func:`~sa2_monai.data.preparation.cache.cache_folder`.

    Raises:
        FailedCasesError, ValueError, OSError, RuntimeError: see :func:`prepare_dataset`.
    """
    entry = DATASETS[name]
    if entry.prepare_first is None or not directory.is_dir() or not entry.prepare_first(directory):
        return directory
    form = next(iter(entry.preparations))
    out = cache_folder(directory, cache_dir, name) / f"{name}_{form}"
    logger.info("%s is as downloaded: the form '%s' is made once, in %s", directory, form, out)
    return prepare_dataset(name, directory, out).folder


def _chosen(name: str, form: str | None, split: str | None) -> tuple[DataSet, str]:
    if name not in DATASETS:
        raise ValueError(unknown_dataset(name))
    entry = DATASETS[name]
    if not entry.preparations:
        able = [other for other, described in sorted(DATASETS.items()) if described.preparations]
        raise ValueError(
            f"{name!r} needs no preparation, it is read as it is; there is one for {listing(able, 20) or 'no data set'}"
        )
    form = form or next(iter(entry.preparations))
    if form not in entry.preparations:
        raise ValueError(f"form is {form!r}, {name!r} has {', '.join(entry.preparations)}")
    if split is not None and split not in entry.splits:
        raise ValueError(f"split is {split!r}, {name!r} has {', '.join(entry.splits) or 'one only; leave it out'}")
    return entry, form


def _check_names(jobs: Sequence[Job], folder: Path, source: Path) -> None:
    names = {job.name for job in jobs}
    if len(names) < len(jobs):
        raise ValueError(f"{source}: {len(jobs)} jobs have {len(names)} names, expected a name for each")
    gone = sorted(recorded_names(folder) - names)
    if gone:
        raise ValueError(
            f"{folder}: {len(gone)} finished jobs have no source in {source} any more ({listing(gone)}); bring the "
            "files back, or prepare what is left in a new folder"
        )


def _finish(
    jobs: Sequence[Job], source: Path, folder: Path, workers: int, progress: bool, title: str
) -> tuple[dict[str, Record], int]:
    """Records of all jobs by name, and how many had to run."""
    from tqdm import tqdm

    with tqdm(total=len(jobs), desc=title, unit="job", disable=not progress) as bar:
        with ThreadPoolExecutor(min(16, usable_processors())) as pool:  # reading and hashing wait for the disk
            records: dict[str, Record] = {}
            for job, record in zip(jobs, pool.map(lambda job: finished_record(job, source, folder), jobs), strict=True):
                if record is not None:
                    records[job.name] = record
                    bar.update()
        rest = [job for job in jobs if job.name not in records]
        if rest:  # what these say does not hold from now on
            (folder / MANIFEST).unlink(missing_ok=True)
            (folder / DESCRIPTION).unlink(missing_ok=True)
        failures: dict[str, str] = {}
        try:
            with closing(_results(rest, source, folder, workers)) as results:
                for job, result in results:
                    try:
                        records[job.name] = result()
                    except (OSError, ValueError, RuntimeError) as error:
                        failures[job.name] = _said(error, folder, len(records), len(jobs))
                    bar.update()
        finally:
            remove_leftovers(folder)
    if failures:
        raise FailedCasesError({name: failures[name] for name in sorted(failures)}, len(jobs))
    return records, len(rest)


def _results(
    jobs: Sequence[Job], source: Path, folder: Path, workers: int
) -> Generator[tuple[Job, Callable[[], Record]], None, None]:
    """The jobs as they finish, each with the function that returns its record or raises what went wrong."""
    if not workers or not jobs:
        for job in jobs:
            yield job, partial(run_job, job, source, folder)
        return
    # Spawned, not forked: the threads of the libraries in this process are in an unknown state after a fork.
    pool = ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context("spawn"), _prepare_worker)
    try:
        futures = {pool.submit(run_job, job, source, folder): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare_worker() -> None:
    """Let Ctrl-C end a worker at once and without a traceback; the job runs again next time."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _said(error: OSError | ValueError | RuntimeError, folder: Path, done: int, total: int) -> str:
    """Message of a failed job. What would fail all others, too, is raised."""
    so_far = f"{done} of {total} jobs are finished, run the same command again to go on"
    if isinstance(error, BrokenProcessPool):
        raise RuntimeError(
            f"{folder}: a worker process was killed, often for lack of memory; use fewer workers. {so_far}"
        ) from error
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, f"{folder}: no room left on the disk; free some. {so_far}") from error
        if error.filename and error.strerror:
            return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
