# SPDX-License-Identifier: Apache-2.0
"""From a request that is in order to a trained bundle: the work behind ``train_run``."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sa2_monai.bundle.run.ending import RunResult, last_words
from sa2_monai.bundle.run.folder import complete_run, write_run
from sa2_monai.bundle.run.log import log_to, show_notes
from sa2_monai.bundle.run.observers import Observers
from sa2_monai.bundle.run.processes import OVERLAY, by_first_process, join_processes
from sa2_monai.bundle.run.request import TrainRequest
from sa2_monai.bundle.run.resume import resume_run
from sa2_monai.bundle.run.setup import RunSetup, plan_run
from sa2_monai.bundle.run.shell import command_line_value, python_command, short_path
from sa2_monai.bundle.run.target import LOG
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.bundle.workflow import choose_device, run_training
from sa2_monai.io.arrays.decoded import decoded_once
from sa2_monai.io.causes import raised_by_monai, root_cause
from sa2_monai.io.ownership import claim_folder
from sa2_monai.training.distributed import rank, world_size

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
    if request.device is not None:
        choose_device(request.device)
    several = join_processes()
    tell: Callable[[str], None] = _silent if quiet or rank() > 0 else _print
    with contextlib.ExitStack() as held, contextlib.ExitStack() as files_kept, show_notes(tell):
        files_kept.enter_context(decoded_once())

        def begin() -> Path:
            setup = None if request.resume else plan_run(request)
            folder = resume_run(request) if setup is None else setup.folder
            held.enter_context(claim_folder(folder, "training"))
            if setup is not None:
                write_run(setup)
                _introduce(setup, request, tell)
            return folder

        folder = by_first_process(begin)
        files = [folder / "configs" / f"{name}.json" for name in ("train", *([OVERLAY] if several else []))]
        started = time.monotonic()
        observers = Observers(folder, tell, False if quiet else None, request.call.get("time_limit"))

        def prepare(workflow: Any) -> None:
            (observers.attach if rank() == 0 else observers.look)(workflow)
            files_kept.close()  # the data sets are there

        if rank() == 0:
            _train(folder, files, request, observers, prepare)
        else:
            run_training(files, _overrides(folder, request), request.tracking, prepare)
        result = observers.result(time.monotonic() - started)
        tell(last_words(result))
    return result


def _introduce(setup: RunSetup, request: TrainRequest, tell: Callable[[str], None]) -> None:
    """Show what will be done, and how MONAI would be told to do it."""
    tell(setup.about)
    if setup.plan is not None:
        where = short_path(setup.folder / "configs" / "plan.yaml")
        tell(f"\n{setup.plan.table(brief=True)}\n\nall switches with their reasons: {where}\n")
    tell(f"$ {monai_command(setup.folder, request)}\n")


def monai_command(folder: Path, request: TrainRequest) -> str:
    """The equivalent command of MONAI, quoted for the shell.

    Args:
        folder: of the run, absolute.
        request: what is wanted.
    """
    run = Path(short_path(folder))
    configs = run / "configs"
    words, files = ["-m", "monai.bundle", "run", "training"], str(configs / "train.json")
    if world_size() > 1:
        words = ["-m", "torch.distributed.run", f"--nproc_per_node={world_size()}", *words]
        files = str([files, str(configs / f"{OVERLAY}.json")])
    words += ["--meta_file", str(configs / "metadata.json"), "--config_file", files]
    words += ["--logging_file", str(configs / "logging.conf")]
    words += ["--bundle_root", command_line_value(verbatim(str(run)))]
    for name, value in request.call.items():
        words += [f"--{name}", command_line_value(value)]
    if request.tracking is not None:
        words += ["--tracking", request.tracking]
    return python_command(*words)


def _train(
    folder: Path,
    files: list[Path],
    request: TrainRequest,
    observers: Observers,
    prepare: Callable[[Any], None],
) -> None:
    """Run the configuration of a run; whatever ends it, the files are as far as it came."""
    with log_to(folder / LOG):
        logger.info("%s", monai_command(folder, request))
        try:
            run_training(files, _overrides(folder, request), request.tracking, prepare)
        except KeyboardInterrupt as error:
            logger.info("stopped by the user")
            raise StoppedTrainingError(folder) from error
        except Exception as error:
            logger.exception("the training failed")
            if isinstance(error, (OSError, ValueError, ImportError, MemoryError)) and not raised_by_monai(error):
                raise
            raise TrainingError(" ".join(root_cause(error).split())) from error
        finally:
            observers.close()
            complete_run(folder)


def _overrides(folder: Path, request: TrainRequest) -> dict[str, Any]:
    # One bar for all takes the place of those of the configuration.
    return {"bundle_root": verbatim(str(folder)), "resume": request.resume, "progress": False, **request.call}


def _silent(_: str) -> None:
    """Show nothing."""


def _print(text: str) -> None:
    print(text, flush=True)
