# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict --watch``: what comes into a folder is predicted, with a network that is loaded once.

The folder is looked at again and again: that works on network drives, too, where the system tells nobody of changes.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.prediction.batch import Batch
from sa2_monai.bundle.prediction.cases import case_files, list_inputs
from sa2_monai.bundle.prediction.run import (
    TrainedModel,
    device_of,
    draw_overlays,
    loaded_network,
    make_batch,
    overrides_of,
)
from sa2_monai.bundle.prediction.shard import Shard
from sa2_monai.bundle.slides.options import SlideOptions
from sa2_monai.bundle.workflow import choose_device
from sa2_monai.data.layouts.folder_walk import LeftOut, walk
from sa2_monai.io.digest import file_state
from sa2_monai.io.text import printable

__all__ = ["FolderWatch", "watch_folder"]

Case = dict[str, Any]
#: As a shell reports a program that ended by SIGTERM.
TERMINATED = 143
# Names under which programs write what they have not finished; hidden files are passed over anyway.
_UNFINISHED = re.compile(r"~.*|.*~|.*\.(tmp|temp|part|partial|filepart|crdownload|download|incomplete)", re.IGNORECASE)


class FolderWatch:
    """What is new in a folder and complete: a file that was the same at two looks in a row.

    A case of several files, such as a DICOM series, is complete when all of them are, and nothing in the folder of a
    series has the name of an unfinished file.

    Args:
        folder: that is watched, with the folders in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._states: dict[Path, tuple[int, int]] = {}
        self._settled: dict[Path, tuple[int, int]] = {}
        self._given: dict[tuple[Path, ...], tuple[tuple[int, int], ...]] = {}

    def look(self) -> bool:
        """Look at all files.

        Returns:
            Whether other files are complete than at the last look.

        Raises:
            OSError: the folder cannot be read.
        """
        found: dict[Path, tuple[int, int]] = {}
        for _, files in walk(self.folder, LeftOut()):
            for path in files:
                with contextlib.suppress(OSError):  # gone in the meantime
                    found[path] = file_state(path)
        settled = {
            path: state
            for path, state in found.items()
            if self._states.get(path) == state and not _UNFINISHED.fullmatch(path.name)
        }
        self._states, before, self._settled = found, self._settled, settled
        return settled != before

    def fresh(self, cases: list[Case]) -> list[Case]:
        """The cases that are complete and new, or changed since they were given; each is given once.

        Args:
            cases: all that are in the folder.
        """
        fresh = []
        for case in cases:
            files = self._files(case)
            if not all(path in self._settled for path in files):
                continue
            states = tuple(self._settled[path] for path in files)
            if self._given.get(files) != states:
                self._given[files] = states
                fresh.append(case)
        return fresh

    def given(self, cases: list[Case]) -> list[Case]:
        """Those of the cases that were given, now or before."""
        return [case for case in cases if self._files(case) in self._given]

    def _files(self, case: Case) -> tuple[Path, ...]:
        paths = [Path(file) for file in case_files([case])]
        inside = {path for path in paths if path.is_dir()}
        series = [path for path in self._states if path.parent in inside]
        return tuple(path for path in (*paths, *series) if path not in inside)


def watch_folder(
    model: TrainedModel,
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: Mapping[str, Any],
    interval: float,
    device: str | None = None,
    batch_size: int | None = None,
    again: bool = False,
    overlays: bool = False,
    slide_options: SlideOptions | None = None,
    sleep: Callable[[float], Any] = time.sleep,
) -> None:
    """Predict what is in a folder and what comes into it, until the program is stopped.

    What an earlier run has finished is not done again: the records are those of a batch. A case that fails is told and
    recorded; it is tried again when its file changes.

    Args:
        model: what predicts.
        folder: that is watched.
        output: folder of the results.
        options: overrides of the configuration on which a result depends.
        interval: seconds between two looks.
        device: see :func:`~sa2_monai.bundle.prediction.run.run_batch`.
        batch_size: see there.
        again: also what an earlier run has finished.
        overlays: see there.
        slide_options: how whole slides are predicted.
        sleep: waits so many seconds.

    Raises:
        KeyboardInterrupt, SystemExit: Ctrl-C, and ``SIGTERM`` with code 143; no file is left half-written.
        OSError, ValueError, RuntimeError: what ends a batch before its last case; the weights have changed.
    """
    place = Path(os.path.abspath(folder))
    if not place.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder to watch; make it first")
    if place.resolve() == Path(output).resolve():
        raise ValueError(f"{folder}: is watched and is the --output folder. Choose another folder for the results.")
    shard = Shard()
    empty = make_batch(model, [], output, options, slide_options)
    overrides = overrides_of(model, device_of(choose_device(device), shard), batch_size)
    with _terminated(), empty.claim(shard):
        empty.write_summary()  # marks the folder of the results, should it lie in the watched one
        overrides |= loaded_network(model, empty.settings, overrides["device"])
        print(f"watching {printable(str(place))} every {interval:g} s; Ctrl-C ends it", flush=True)
        watched, said = FolderWatch(place), ""
        while True:
            try:
                listed = _list(model, place) if watched.look() else []
                said = ""
            except (OSError, ValueError) as error:  # a folder that is away for a moment, names that contradict
                listed = []
                if str(error) != said:
                    said = str(error)
                    print(f"sa2-monai predict: {printable(said)}", file=sys.stderr, flush=True)
            fresh = watched.fresh(listed)
            if fresh:
                batch = make_batch(model, watched.given(listed), output, options, slide_options)
                _check_weights(batch, empty)
                names = {case["case"] for case in fresh}
                todo = [case for case in batch.cases if case["case"] in names]
                todo = todo if again else batch.unfinished(todo)
                batch.predict(todo, shard, overrides)
                if overlays:
                    draw_overlays(model, batch, [case for case in batch.finished(shard) if case in todo])
            sleep(interval)


def _list(model: TrainedModel, folder: Path) -> list[Case]:
    try:
        return list_inputs([folder], model.volumes, model.setting("in_channels"), model.setting("kind"))[0]
    except ValueError as error:
        if "no images found" in str(error) or "no volumes found" in str(error):
            return []
        raise


def _check_weights(batch: Batch, first: Batch) -> None:
    """The network in memory has to be that of the record."""
    same = ("weights", "configuration")
    if any(batch.manifest.settings[name] != first.manifest.settings[name] for name in same):
        raise ValueError(f"{batch.weights}: the weights or their bundle have changed. Start the command once more.")


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """``SIGTERM`` ends the program as Ctrl-C does: with what has to be tidied up."""
    process = os.getpid()

    def stop(number: int, frame: Any) -> None:
        if os.getpid() != process:  # a worker that was forked
            os._exit(TERMINATED)
        print("\nsa2-monai: stopped", file=sys.stderr, flush=True)
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
