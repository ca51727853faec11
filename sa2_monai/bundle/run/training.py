# SPDX-License-Identifier: Apache-2.0
"""From a request that is in order to a trained bundle: the work behind ``train_run``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import load
from sa2_monai.bundle.run.baseline import ConstantBaseline
from sa2_monai.bundle.run.console import Console
from sa2_monai.bundle.run.curves import CURVES, draw_curves
from sa2_monai.bundle.run.ending import RunResult, last_words
from sa2_monai.bundle.run.folder import complete_run, write_run
from sa2_monai.bundle.run.history import HISTORY, History
from sa2_monai.bundle.run.log import log_to
from sa2_monai.bundle.run.request import TrainRequest
from sa2_monai.bundle.run.resume import resume_run
from sa2_monai.bundle.run.setup import RunSetup, plan_run
from sa2_monai.bundle.run.shell import python_command, short_path
from sa2_monai.bundle.run.target import LOG
from sa2_monai.bundle.run.watch import EpochWatch
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.bundle.workflow import choose_device, run_training
from sa2_monai.io.causes import root_cause
from sa2_monai.io.ownership import claim_folder
from sa2_monai.training import EarlyStop

__all__ = ["StoppedTrainingError", "TrainingError", "monai_command", "train"]

logger = logging.getLogger(__name__)


class TrainingError(RuntimeError):
    """A training ended with an error; the message is its reason, the cause is what was raised."""


class StoppedTrainingError(KeyboardInterrupt):
    """Somebody has stopped a training.

    Attributes:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the training in {folder} was stopped")
        self.folder = folder


def train(request: TrainRequest, quiet: bool) -> RunResult:
    """Plan, write the files of the run, train; see :func:`~sa2_monai.bundle.run.train.train_run`.

    Args:
        request: what is wanted.
        quiet: print nothing.
    """
    tell: Callable[[str], None] = (lambda _: None) if quiet else _print
    if request.device is not None:
        choose_device(request.device)
    if request.resume:
        folder = resume_run(request)
        with claim_folder(folder, "training"):
            return _train(folder, request, tell, quiet)
    setup = plan_run(request)
    with claim_folder(setup.folder, "training"):
        write_run(setup)
        _introduce(setup, request, tell)
        return _train(setup.folder, request, tell, quiet)


def _introduce(setup: RunSetup, request: TrainRequest, tell: Callable[[str], None]) -> None:
    """Show what will be done, and how MONAI would be told to do it."""
    tell(setup.about)
    if setup.plan is not None:
        tell(f"\n{setup.plan.table()}\n")
    tell(f"$ {monai_command(setup.folder, request)}\n")


def monai_command(folder: Path, request: TrainRequest) -> str:
    """The equivalent command of MONAI, quoted for the shell.

    Args:
        folder: of the run, absolute.
        request: what is wanted.
    """
    from sa2_monai.bundle.crossval.runs import command_line_value

    run = Path(short_path(folder))
    words = ["-m", "monai.bundle", "run", "training"]
    for name, file in (("meta_file", "metadata.json"), ("config_file", "train.json"), ("logging_file", "logging.conf")):
        words += [f"--{name}", str(run / "configs" / file)]
    words += ["--bundle_root", command_line_value(verbatim(str(run)))]
    for name, value in request.call.items():
        words += [f"--{name}", command_line_value(value)]
    if request.tracking is not None:
        words += ["--tracking", request.tracking]
    return python_command(*words)


def _train(folder: Path, request: TrainRequest, tell: Callable[[str], None], quiet: bool) -> RunResult:
    """Run the configuration of a run."""
    call = request.call
    overrides = {
        "bundle_root": verbatim(str(folder)),
        "resume": request.resume,
        "progress": False,  # one bar for all, below
        **call,
    }

    def show(text: str) -> None:
        logger.info("%s", text)
        tell(text)

    console = Console(show, bar=False if quiet else None, seconds=call.get("time_limit"))
    seen: dict[str, Any] = {}

    def attach(workflow: Any) -> None:
        logging.getLogger("ignite").setLevel(logging.INFO)  # until the end of the workflow, which had it silent
        parser = workflow.parser
        trainer, evaluator = (parser.get_parsed_content(name) for name in ("train#trainer", "validate#evaluator"))
        names, ignored = (parser.get_parsed_content(name) for name in ("class_names", "ignore_value"))
        history = History(folder / "eval", names)
        baseline = ConstantBaseline(names, ignored)
        history.attach(trainer)
        baseline.attach(evaluator)
        console.attach(trainer, evaluator)
        EpochWatch(evaluator, names, [console, history]).attach(trainer)
        seen.update(ran=console.epochs, parser=parser, trainer=trainer, evaluator=evaluator, baseline=baseline)

    started = time.monotonic()
    with log_to(folder / LOG, tell):
        logger.info("%s", monai_command(folder, request))
        try:
            run_training([folder / "configs" / "train.json"], overrides, request.tracking, attach)
        except KeyboardInterrupt as error:
            logger.info("stopped by the user")
            raise StoppedTrainingError(folder) from error
        except Exception as error:
            logger.exception("the training failed")
            if isinstance(error, (OSError, ValueError, ImportError, MemoryError)):
                raise
            raise TrainingError(root_cause(error)) from error
        finally:
            console.close()
            draw_curves(folder / "eval" / HISTORY, folder / CURVES, folder.name)
            complete_run(folder)
    result = _result(folder, time.monotonic() - started, **seen)
    tell(last_words(result))
    return result


def _result(
    folder: Path, seconds: float, ran: list[int], parser: Any, trainer: Any, evaluator: Any, baseline: ConstantBaseline
) -> RunResult:
    handlers = parser.get_parsed_content("train#handlers")
    reason = next((one.reason for one in handlers if isinstance(one, EarlyStop)), None)
    done, wanted = trainer.state.epoch, int(parser.get_parsed_content("train#trainer#max_epochs"))
    best = int(evaluator.state.best_metric_epoch)
    dice = float(evaluator.state.best_metric) if best > 0 else None
    warning = baseline.warning(dice)
    tests = _cases(parser, "test")
    example = (tests or _cases(parser, "training"))[0]["image"]
    return RunResult(
        folder=folder,
        network=load(folder / "configs" / "train.json")["model_info"]["network"],
        end="complete" if reason is None or done >= wanted else reason,
        epochs=done,
        epochs_run=len(ran),
        max_epochs=wanted,
        seconds=seconds,
        dice=dice,
        dice_epoch=best if best > 0 else None,
        warnings=[] if warning is None else [warning],
        example=[example] if isinstance(example, str) else list(example),
        tests=len(tests),
    )


def _cases(parser: Any, section: str) -> list[dict[str, Any]]:
    """Cases of a part of the data; none where there is no such part."""
    try:
        cases: list[dict[str, Any]] = parser.get_parsed_content("load_datalist")(section=section, check=False)
    except ValueError:
        return []
    return cases


def _print(text: str) -> None:
    print(text, flush=True)
