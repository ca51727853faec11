# SPDX-License-Identifier: Apache-2.0
"""Where the time of a few iterations goes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ignite.engine import Engine, Events
from torch.profiler import profile

from sa2_monai.io.atomic import write_atomically
from sa2_monai.training.distributed import rank

__all__ = ["ProfilerTrace"]

logger = logging.getLogger(__name__)

_ROWS = 30  # operators of the table


class ProfilerTrace:
    """Record iterations with ``torch.profiler``: ``trace.json`` for Perfetto or Chrome, ``profile.txt`` for people.

    Args:
        output_dir: folder for the files; made when needed.
        first: first iteration that is recorded; the one before it warms up.
        iterations: number of iterations.
    """

    def __init__(self, output_dir: str | os.PathLike[str], first: int = 2, iterations: int = 2) -> None:
        self.output_dir = Path(output_dir)
        self.first = first
        self.last = first + iterations - 1
        self._profiler: profile | None = None

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        if rank() == 0:
            engine.add_event_handler(Events.ITERATION_STARTED(once=self.first), self._start)
            engine.add_event_handler(Events.ITERATION_COMPLETED(once=self.last), self._stop)

    def _start(self, _: Engine) -> None:
        self._profiler = profile(record_shapes=True)  # of all devices that there are
        self._profiler.start()

    def _stop(self, _: Engine) -> None:
        if self._profiler is None:  # resumed behind the first one
            return
        self._profiler.stop()
        self.output_dir.mkdir(parents=True, exist_ok=True)
        trace, table = self.output_dir / "trace.json", self.output_dir / "profile.txt"
        self._profiler.export_chrome_trace(str(trace))
        averages = self._profiler.key_averages()
        on_gpu = any(one.device_time_total for one in averages)
        order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
        write_atomically(table, averages.table(sort_by=order, row_limit=_ROWS).encode())
        logger.info("debug: iterations %d to %d were recorded: %s and %s.", self.first, self.last, trace, table)
        self._profiler = None
