# SPDX-License-Identifier: Apache-2.0
"""Those who look on while a configuration trains: attached to its engines, they change nothing in what it computes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import load
from sa2_monai.bundle.run.baseline import ConstantBaseline
from sa2_monai.bundle.run.console import Console
from sa2_monai.bundle.run.curves import CURVES, Curves
from sa2_monai.bundle.run.ending import RunResult
from sa2_monai.bundle.run.history import History
from sa2_monai.bundle.run.watch import EpochWatch
from sa2_monai.evaluation.report.history import HISTORY_NAME
from sa2_monai.training import EarlyStop
from sa2_monai.training.distributed import world_size

__all__ = ["Observers"]

logger = logging.getLogger(__name__)


class Observers:
    """Console, ``history.csv``, ``curves.png`` and the constant prediction of a training.

    Args:
        folder: of the run.
        tell: shows a line.
        bar: whether to draw a bar; ``None``: on a terminal.
        seconds: time that the training has at most, or ``None``.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None], bar: bool | None, seconds: float | None) -> None:
        def show(text: str) -> None:
            logger.info("%s", text)
            tell(text)

        self.folder = folder
        self.console = Console(show, bar, seconds)
        self.curves = Curves(folder / "eval" / HISTORY_NAME, folder / CURVES, folder.name)
        self.baseline: ConstantBaseline | None = None
        self._parser: Any = None

    def look(self, workflow: Any) -> None:
        """Keep the workflow, for the result alone; all processes build the trainer at the same time."""
        self._parser = workflow.parser
        self._parser.get_parsed_content("train#trainer")

    def attach(self, workflow: Any) -> None:
        """Attach to the engines of a workflow, behind the handlers of its configuration."""
        self.look(workflow)
        logging.getLogger("ignite").setLevel(logging.INFO)  # until the end of the workflow, which had it silent
        content = self._parser.get_parsed_content
        trainer, evaluator, names = map(content, ("train#trainer", "validate#evaluator", "class_names"))
        # Packages of earlier versions know no pixels without a label.
        ignored = content("ignore_value") if "ignore_value" in self._parser else None
        history = History(self.folder / "eval", names)
        history.attach(trainer)
        self.console.attach(trainer, evaluator)
        if world_size() == 1:  # else no process sees all cases
            self.baseline = ConstantBaseline(names, ignored)
            self.baseline.attach(evaluator)
        EpochWatch(evaluator, names, [self.console, history, self.curves]).attach(trainer)

    def close(self) -> None:
        """Take the bar away and draw the curves, however the training has ended."""
        self.console.close()
        self.curves.draw()

    def result(self, seconds: float) -> RunResult:
        """What the training has reached.

        Args:
            seconds: that it took.
        """
        trainer, evaluator, handlers, epochs = map(
            self._parser.get_parsed_content,
            ("train#trainer", "validate#evaluator", "train#handlers", "train#trainer#max_epochs"),
        )
        reason = next((one.reason for one in handlers if isinstance(one, EarlyStop)), None)
        best = int(evaluator.state.best_metric_epoch)
        dice = float(evaluator.state.best_metric) if best > 0 else None
        warning = None if self.baseline is None else self.baseline.warning(dice)
        tests = self._cases("test")
        example: str | list[str] = next((case["image"] for case in tests or self._cases("training")), [])
        return RunResult(
            folder=self.folder,
            network=load(self.folder / "configs" / "train.json")["model_info"]["network"],
            end="complete" if reason is None or trainer.state.epoch >= int(epochs) else reason,
            epochs=trainer.state.epoch,
            epochs_run=len(self.console.epochs),
            max_epochs=int(epochs),
            seconds=seconds,
            dice=dice,
            dice_epoch=best if best > 0 else None,
            # Packages of earlier versions know no other.
            select=self._parser.get_parsed_content("select") if "select" in self._parser else "best",
            warnings=[] if warning is None else [warning],
            example=[example] if isinstance(example, str) else list(example),
            tests=len(tests),
        )

    def _cases(self, section: str) -> list[dict[str, Any]]:
        """Cases of a part of the data; none where there is no such part, or in packages of earlier versions."""
        try:
            cases: list[dict[str, Any]] = self._parser.get_parsed_content("load_datalist")(section=section, check=False)
        except (KeyError, ValueError):
            return []
        return cases
