# SPDX-License-Identifier: Apache-2.0
"""Ignite handler that evaluates the files of a run when it is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from sa2_monai.evaluation.report.files import write_report
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.io.problems import FailedCasesError

__all__ = ["ReportHandler"]


class ReportHandler:
    """Evaluates the predictions written by a MONAI evaluator and writes the report.

    Several processes wait for each other until all predictions are on disk, and measure them together (those of the
    paper protocol the main process alone). The main process writes.

    Args:
        predictions_dir: folder with the files of the run, ``<case>.png``.
        data: data list of the run, ``[{"image": ..., "label": ..., "case": ...}, ...]``.
        class_names: names of the classes, background first.
        output_dir: folder for ``metrics_per_case.csv``, ``metrics_summary.json``, ``table.txt``, ``report.html`` and
            ``overlays/``.
        protocol: ``"clinical"`` or ``"paper"``.
        family: family of the paper protocol.
        label_values: values in the label files, see :class:`sa2_monai.evaluation.EvaluationOptions`.
        overlays: images each of the worst, median and best cases; 0 for none.
        instances_dir: folder with the numbers of the predicted objects; ``None`` counts none, see
            :func:`~sa2_monai.evaluation.write_report`.
        name: of the logger that the table goes to.
        options: attributes of :class:`sa2_monai.evaluation.EvaluationOptions`, e.g. ``tolerance``, ``paper``,
            ``extra_metrics``, ``size_strata``, ``strata``, ``ignore_value``, ``on_error``.

    After the run ``engine.state.report`` holds the summary, on the main process.
    """

    def __init__(
        self,
        predictions_dir: str | Path | Sequence[str],
        data: Sequence[Mapping[str, Any]],
        class_names: Sequence[str] | Mapping[int, str],
        output_dir: str | Path,
        protocol: str = "clinical",
        family: str | None = None,
        label_values: Mapping[int, int] | str | None = None,
        overlays: int = 3,
        name: str | None = None,
        instances_dir: str | Path | None = None,
        **options: Any,
    ) -> None:
        self.predictions_dir = predictions_dir
        self.data = data
        self.class_names = class_names
        self.output_dir = Path(output_dir)
        self.overlays = overlays
        self.options = {"protocol": protocol, "family": family, "label_values": label_values, **options}
        self.instances_dir = instances_dir
        self.result: EvaluationResult | None = None
        self.logger = logging.getLogger(name or __name__)

    def attach(self, engine: Engine) -> None:
        """Evaluate when the engine has completed."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Evaluate and write the report.

        Args:
            engine: the evaluator that has written the predictions.

        Raises:
            FailedCasesError: with ``on_error="continue"``, after the report of the others is written.
            OSError: when a file is missing or the folder cannot be written.
            ValueError: as :func:`sa2_monai.evaluation.evaluate`.
        """
        engine.state.batch = engine.state.output = None  # the voxels of the last case
        idist.barrier()
        main = idist.get_rank() == 0
        together = self.options["protocol"] == "clinical"
        try:
            if main or together:
                self.result = write_report(
                    self.predictions_dir,
                    self.data,
                    self.class_names,
                    self.output_dir,
                    overlays=self.overlays,
                    write=main,
                    distributed=together,
                    instances_dir=self.instances_dir,
                    **self.options,
                )
            if main and self.result is not None:
                engine.state.report = self.result.summary  # type: ignore[attr-defined]
                self.logger.info("%s\nReport in %s", self.result.table(), self.output_dir)
                self._tell_failures(self.result)
        finally:
            idist.barrier()  # also after an error, or the other processes would wait for ever

    @staticmethod
    def _tell_failures(result: EvaluationResult) -> None:
        if result.failed:
            messages = {entry["case"]: entry["message"] for entry in result.failed}
            raise FailedCasesError(messages, result.summary["cases"] + len(messages))
