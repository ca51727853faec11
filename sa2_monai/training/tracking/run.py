# SPDX-License-Identifier: Apache-2.0
"""What an MLflow run of ``--tracking mlflow`` holds beside the curves that MONAI writes."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.handlers import MLFlowHandler
from monai.utils import optional_import

from sa2_monai.training.distributed import rank
from sa2_monai.training.run_record import RunRecord
from sa2_monai.training.tracking.loss import TrackedLoss
from sa2_monai.training.tracking.values import read_switches, report_metrics
from sa2_monai.version import __version__
from sa2_monai.weights import sha256_of, weight_file

__all__ = ["TrackedRun"]

_PARAMS_AT_ONCE = 100  # of MLflow
_LONGEST = 500  # characters of a parameter, for servers of version 1, too
_OF_MONAI = re.compile(r"config_\d{8}_\d{6}\.json")  # what it calls the merged configuration of a tracked run

logger = logging.getLogger(__name__)


class TrackedRun:
    """Complete the MLflow run of an engine; without an ``MLFlowHandler`` on the engine it does nothing.

    MONAI's option ``--tracking mlflow`` adds ``MLFlowHandler`` to the engines of a bundle, which logs metrics. This
    handler begins the run that they log to, and adds

    - loss and learning rate of a training;
    - the switches at the top of the merged configuration as parameters, and that configuration as a file;
    - the SHA-256 of the weights that the run begins with (tag ``pretrained_sha256``) and of those that it makes or uses
      (``weights_sha256``);
    - when it is over, the means of the report of an evaluation as metrics, and ``artifacts``: tables, images.

    Every run is a new one, except that a resumed training goes on with the run of the same ``output_dir``. A run that
    fails is ``FAILED`` in MLflow, an interrupted one ``KILLED``. Usage statistics of MLflow are not sent unless the
    environment variable ``MLFLOW_DISABLE_TELEMETRY`` is set to ``false``. It comes last in the list of handlers; rank
    0 writes.

    Args:
        stage: ``training``, ``evaluation`` or ``inference``: a tag, and the beginning of the name of a run without one.
        output_dir: folder of the run.
        config_file: the file of the merged configuration: ``@save_execute_config``, which MONAI sets when it tracks.
        weights: file of the weights that the run makes or uses.
        pretrained: weights that a training begins with: a file, or the folder of a run or bundle.
        evaluator: of a training, the evaluator of its validation.
        log_interval: of a training, iterations between two entries of the loss, see :class:`TrackedLoss`.
        artifacts: names of files and folders in ``output_dir`` that are kept with the run; those that do not exist are
            left out.
    """

    def __init__(
        self,
        stage: str,
        output_dir: str | os.PathLike[str],
        config_file: str | bool | None = None,
        weights: str | os.PathLike[str] | None = None,
        pretrained: str | os.PathLike[str] | None = None,
        evaluator: Engine | None = None,
        log_interval: int = 20,
        artifacts: Sequence[str] = (),
    ) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before the first call of MLflow's client
        self.stage = stage
        self.output_dir = Path(output_dir)
        # MONAI appends the file's name to the text of `output_dir`, also when that is a path and no expression.
        self.config_file = None
        if isinstance(config_file, str):
            named = Path(config_file)
            self.config_file = named if named.is_file() else self.output_dir / named.name.rstrip("'")
            if _OF_MONAI.match(self.config_file.name) and rank() == 0 and not optional_import("mlflow")[1]:
                # MONAI fails next, saying what is missing but not where it comes from.
                logger.warning("tracking with MLflow needs a package: python -m pip install 'sa2_monai[mlflow]'.")
        self.weights = weights
        self.pretrained = pretrained
        self.evaluator = evaluator
        self.log_interval = log_interval
        self.artifacts = artifacts
        self._handlers: list[Any] = []
        self._run_id = ""

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer or an evaluator."""
        if rank() != 0:
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.COMPLETED, self._end)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)
        # Behind the record of the run, ahead of MONAI's StatsHandler, which ends the calls by raising the error again.
        handlers = engine._event_handlers[Events.EXCEPTION_RAISED]
        behind = handlers and isinstance(getattr(handlers[0][0], "__self__", None), RunRecord)
        handlers.insert(1 if behind else 0, handlers.pop())

    def _start(self, engine: Engine) -> None:
        self._handlers = [*_mlflow(engine), *_mlflow(self.evaluator)]
        if not self._handlers:
            return
        first = self._handlers[0]
        first._set_experiment()
        run = self._begin(first, resumed=engine.state.epoch > 0)
        self._run_id = run.info.run_id
        for handler in self._handlers:  # by itself it takes any run that is not finished, of a killed process too
            handler.experiment, handler.cur_run = first.experiment, run
        if self.stage == "training" and first.iteration_logger is None:
            first.iteration_logger = TrackedLoss(first, self.log_interval)
        if not engine.has_event_handler(self._close, Events.COMPLETED):
            engine.add_event_handler(Events.COMPLETED, self._close)  # behind MONAI's, which may still log
        tags = {"stage": self.stage, "output_dir": self._place, "sa2_monai": __version__}
        for key, value in {**tags, **self._hash("pretrained", self.pretrained), **self._weights_hash()}.items():
            first.client.set_tag(self._run_id, key, value)
        if self.config_file is not None and self.config_file.is_file():
            first.client.log_artifact(self._run_id, str(self.config_file))
            self._log_switches(first, run.data.params, engine.state.epoch)

    @property
    def _place(self) -> str:
        return str(self.output_dir.resolve())

    def _begin(self, handler: Any, resumed: bool) -> Any:
        client, experiment = handler.client, handler.experiment.experiment_id
        if resumed:
            wanted = {"stage": self.stage, "output_dir": self._place}
            for run in client.search_runs([experiment]):  # the latest first
                if wanted.items() <= run.data.tags.items():
                    client.update_run(run.info.run_id, status="RUNNING")
                    return client.get_run(run.info.run_id)
        name = handler.run_name or f"{self.stage}_{time.strftime('%Y%m%d_%H%M%S')}"
        return client.create_run(experiment_id=experiment, run_name=name)

    def _log_switches(self, handler: Any, logged: dict[str, str], epoch: int) -> None:
        """Log the switches; MLflow refuses another value for a parameter, so a changed one gets a name of its own."""
        assert self.config_file is not None
        values = {key: str(value)[:_LONGEST] for key, value in read_switches(self.config_file).items()}
        changed = {f"{key}.from_epoch_{epoch + 1}": v for key, v in values.items() if logged.get(key, v) != v}
        new = {**{key: value for key, value in values.items() if key not in logged}, **changed}
        items = [(key, value) for key, value in new.items() if key not in logged]
        for begin in range(0, len(items), _PARAMS_AT_ONCE):
            handler._log_params(dict(items[begin : begin + _PARAMS_AT_ONCE]))

    def _weights_hash(self) -> dict[str, str]:
        """Those that an evaluation uses are there from the beginning, those that a training makes only at the end."""
        return {} if self.stage == "training" else self._hash("weights", self.weights)

    @staticmethod
    def _hash(what: str, path: str | os.PathLike[str] | None) -> dict[str, str]:
        file = None if path is None or not Path(path).exists() else weight_file(path)
        return {} if file is None else {f"{what}_sha256": sha256_of(file)}

    def _end(self, engine: Engine) -> None:
        if not self._run_id:
            return
        handler = self._handlers[0]
        report = getattr(engine.state, "report", None)  # of sa2_monai.evaluation.ReportHandler
        if report:
            handler._log_metrics(report_metrics(report))
        for key, value in self._hash("weights", self.weights).items():
            handler.client.set_tag(self._run_id, key, value)
        self._log_artifacts(handler)

    def _log_artifacts(self, handler: Any) -> None:
        for name in self.artifacts:
            path = self.output_dir / name
            if path.is_dir():
                handler.client.log_artifacts(self._run_id, str(path), name)
            elif path.is_file():
                handler.client.log_artifact(self._run_id, str(path))

    def _fail(self, engine: Engine, error: BaseException) -> None:
        if self._run_id:
            handler, status = self._handlers[0], "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            try:
                handler.client.set_tag(self._run_id, "error", f"{type(error).__name__}: {error}"[:_LONGEST])
                self._log_artifacts(handler)
                handler.client.set_terminated(self._run_id, status)
                for each in self._handlers:
                    each.cur_run = None  # or it would be reported as finished
                self._close()
            except Exception:  # a server that is gone must not hide why the run failed
                logger.exception("the end of the run could not be told to MLflow.")
        if engine._event_handlers[Events.EXCEPTION_RAISED][-1][0] == self._fail:  # nobody else raises it again
            raise error

    def _close(self) -> None:
        """Finish the run and release the database; MONAI leaves that of a validation or an evaluation open."""
        self._run_id = ""
        for handler in self._handlers:
            handler.close()


def _mlflow(engine: Engine | None) -> list[Any]:
    """The MLflow handlers of an engine."""
    if engine is None:
        return []
    owners = [getattr(entry[0], "__self__", None) for entry in engine._event_handlers[Events.STARTED]]
    return [owner for owner in owners if isinstance(owner, MLFlowHandler)]
