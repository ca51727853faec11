# SPDX-License-Identifier: Apache-2.0
"""Jobs from the first to the last, each by one machine and on one device."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sa2_monai.bundle.launch.devices import check_devices, environment_of
from sa2_monai.bundle.launch.job import Job, JobError
from sa2_monai.bundle.launch.process import Process, signals_raise, start_process
from sa2_monai.io.ownership import FolderInUseError, claim_folder

__all__ = ["hold", "run_jobs"]

#: Seconds that a program has to write what it knows, once it is asked to end.
_GRACE = 60.0
#: Seconds between two looks at what other machines have done.
_LOOK = 1.0
_LAST_LINES = 15


def run_jobs(jobs: Sequence[Job], devices: Sequence[str] | None = None) -> None:
    """Run jobs in processes of their own, one per device at a time, until all are done by this machine or another.

    A job that another living process holds is left to it and waited for. Whatever ends this process ends its programs:
    a signal interrupts them, and they have a minute to write what they know.

    Args:
        jobs: in the order in which they shall begin; each is begun when those of its ``after`` are done.
        devices: where they run; ``"cpu"`` several times for as many side by side. ``None``: one job at a time, which
            chooses its device.

    Raises:
        JobError: a job failed; others that ran have come to their end, and no more were begun.
        KeyboardInterrupt: after Ctrl-C, when the programs have ended.
        SystemExit: the same after SIGTERM, with the exit code of the shells.
        ValueError: devices that are none.
    """
    if devices is not None:
        check_devices(devices)
    with signals_raise():
        _Launcher(jobs, [None] if devices is None else list(devices)).run()


@contextlib.contextmanager
def hold(folder: Path, purpose: str) -> Iterator[None]:
    """Be the only one at work in a folder for a while; wait as long as another process is.

    Args:
        folder: made when it is not there.
        purpose: for the message of others.
    """
    told = False
    while True:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(claim_folder(folder, purpose))
            except FolderInUseError as error:
                if not told:
                    print(_left_to(purpose, error), flush=True)
                told = True
            else:
                yield
                return
        time.sleep(_LOOK)


def _left_to(what: str, error: FolderInUseError) -> str:
    return f"{what}: left to {error.owner}. Should that not run any more, remove {error.mark}"


@dataclass
class _Running:
    """A job at work: its program, its lock, its output."""

    job: Job
    process: Process
    lock: contextlib.ExitStack
    log: Path | None


class _Launcher:
    def __init__(self, jobs: Sequence[Job], devices: Sequence[str | None]) -> None:
        self.jobs = list(jobs)
        self.devices = devices
        self.done: set[str] = set()
        self.running: dict[int, _Running] = {}
        self.failure: JobError | None = None
        self.told: set[str] = set()

    def run(self) -> None:
        try:
            while True:
                if self.failure is None:
                    self._begin_what_can()
                if not self.running and (self.failure is not None or len(self.done) == len(self.jobs)):
                    break
                self._wait()
        except BaseException:
            self._stop_all()
            raise
        if self.failure is not None:
            raise self.failure

    def _begin_what_can(self) -> None:
        for slot, device in enumerate(self.devices):
            if slot in self.running:
                continue
            begun = self._begin_next(device)
            if begun is None:
                return
            self.running[slot] = begun

    def _begin_next(self, device: str | None) -> _Running | None:
        """Begin the first job that nobody has done or holds, and that need not wait for another."""
        at_work = {running.job.name for running in self.running.values()}
        for job in self.jobs:
            if job.name in self.done or job.name in at_work or not set(job.after) <= self.done:
                continue
            lock = self._lock(job)
            if lock is None:
                continue
            try:
                return self._start(job, device, lock)
            except BaseException:
                lock.close()
                raise
        return None

    def _lock(self, job: Job) -> contextlib.ExitStack | None:
        """The lock of a job that is still to be done; ``None`` where another process has it, or has done the job."""
        if job.is_done():
            self.done.add(job.name)
            return None
        lock = contextlib.ExitStack()
        try:
            lock.enter_context(claim_folder(job.place, job.name))
        except FolderInUseError as error:
            if job.name not in self.told:
                print(_left_to(job.name, error), flush=True)
                self.told.add(job.name)
            return None
        if job.is_done():  # by the program that held it until now
            lock.close()
            self.done.add(job.name)
            return None
        return lock

    def _start(self, job: Job, device: str | None, lock: contextlib.ExitStack) -> _Running:
        count = len(self.devices)
        log = job.place / "log.txt" if count > 1 else None
        where = "" if device is None else f" on {device}"
        print(f"\n{job.name}{where}" + ("" if log is None else f", output in {log}"), flush=True)
        return _Running(job, start_process(job.words(), environment_of(device, count), log), lock, log)

    def _wait(self) -> None:
        """Until a program ends, or it is time to look again at what other machines have done."""
        if not self.running and len(self.done) < len(self.jobs):
            time.sleep(_LOOK)
        for slot, running in list(self.running.items()):
            code = running.process.wait(_LOOK / len(self.running))
            if code is not None:
                del self.running[slot]
                running.lock.close()
                self._ended(running, code)

    def _ended(self, running: _Running, code: int) -> None:
        if code == 0:
            self.done.add(running.job.name)
            return
        above = "its message stands above"
        if running.log is not None:
            print("\n".join(running.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]), flush=True)
            above = f"the end of its output stands above, all of it in {running.log}"
        self.failure = self.failure or JobError(
            f"the {running.job.name} failed with exit code {code}; {above}. Correct the cause and give the same "
            "command again, which goes on."
        )

    def _stop_all(self) -> None:
        for running in self.running.values():
            running.process.ask_to_end()
        end = time.monotonic() + _GRACE
        try:
            for running in self.running.values():
                running.process.wait(max(0.0, end - time.monotonic()))
        finally:  # also after a second Ctrl-C
            for running in self.running.values():
                running.process.kill()
                running.lock.close()
