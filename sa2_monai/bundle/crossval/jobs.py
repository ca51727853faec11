# SPDX-License-Identifier: Apache-2.0
"""The jobs of a cross-validation: what each does, and what on the disk tells that it is done."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import Any

from sa2_monai.bundle.crossval.commands import ensemble_command, evaluate_command, train_command
from sa2_monai.bundle.crossval.setup import CrossvalSetup
from sa2_monai.bundle.launch import Job
from sa2_monai.io.atomic import write_json
from sa2_monai.io.digest import sha256_of

__all__ = ["Progress", "crossval_jobs"]

#: Record of an evaluation, see :class:`sa2_monai.training.RunRecord`, and of a training.
_EVALUATED, _TRAINED = "run_evaluate.json", "run.json"

#: SHA-256 of the models that a folder was made by.
_MODELS = "models.json"


class Progress:
    """What is done of a cross-validation, as its folders say, whichever machine has done it.

    Args:
        setup: of the cross-validation.
        resume: go on with trainings that a time limit has stopped.
    """

    def __init__(self, setup: CrossvalSetup, resume: bool) -> None:
        self.setup = setup
        folds = range(setup.request.folds)
        #: Epochs at which a training stood that is to be gone on with; what another machine adds to them is enough.
        self.stopped_before = {fold: self._epochs(fold) for fold in folds if resume and self.stopped(fold)}

    def trained(self, fold: int) -> bool:
        """Whether the training of a fold has come to its end, or to the limit of its time."""
        if self._training(fold).get("status") != "completed" or not self.setup.model(fold).is_file():
            return False
        return not self.stopped(fold) or self._epochs(fold) > self.stopped_before.get(fold, -1)

    def stopped(self, fold: int) -> dict[str, int]:
        """``epochs`` and ``max_epochs`` of a training that was stopped by the time limit; nothing of any other."""
        record = self._training(fold)
        if record.get("stopped") != "time":
            return {}
        return {"epochs": self._epochs(fold), "max_epochs": record["configuration"]["max_epochs"]}

    def evaluated(self, fold: int) -> bool:
        """Whether the test cases were scored by the model that is there."""
        return self._made_by(self.setup.fold(fold) / "eval", fold)

    def predicted(self, fold: int) -> bool:
        """Whether the cases that a fold has held out were predicted by the model that is there."""
        return self._made_by(self.setup.out_of_fold / f"fold{fold}", fold)

    def ensemble_evaluated(self) -> bool:
        """Whether the test cases were scored by the ensemble of the models that are there."""
        return _completed(self.setup.ensemble / _EVALUATED) and self.is_of_models(self.setup.ensemble)

    def models(self) -> list[str]:
        """SHA-256 of the models of all folds."""
        return [_digest(self.setup.model(fold)) for fold in range(self.setup.request.folds)]

    def is_of_models(self, folder: Path) -> bool:
        """Whether a folder was begun with the models that are there."""
        return _read(folder / _MODELS).get("sha256") == self.models()

    def note_models(self, folder: Path) -> None:
        """Note with which models a folder is begun; the record of an earlier evaluation is removed."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _EVALUATED).unlink(missing_ok=True)
        write_json(folder / _MODELS, {"sha256": self.models()})

    def _made_by(self, folder: Path, fold: int) -> bool:
        weights = _read(folder / _EVALUATED).get("weights") or {}
        return _completed(folder / _EVALUATED) and weights.get("sha256") == _digest(self.setup.model(fold))

    def _training(self, fold: int) -> dict[str, Any]:
        return _read(self.setup.fold(fold) / "eval" / _TRAINED)

    def _epochs(self, fold: int) -> int:
        epochs = self._training(fold).get("epochs")
        return int(epochs[-1]["epoch"]) if epochs else 0


def crossval_jobs(setup: CrossvalSetup, progress: Progress, has_tests: bool) -> list[Job]:
    """The jobs: the training of each fold, its evaluation; the ensemble.

    Args:
        setup: of the cross-validation.
        progress: tells what is done.
        has_tests: whether there is a test part.
    """

    def is_scored(fold: int) -> bool:
        return not has_tests or progress.evaluated(fold)

    def is_evaluated(fold: int) -> bool:
        return is_scored(fold) and progress.predicted(fold)

    def evaluate(fold: int) -> list[str]:
        return evaluate_command(setup, fold, score=not is_scored(fold), predict=not progress.predicted(fold))

    def evaluate_ensemble() -> list[str]:
        progress.note_models(setup.ensemble)
        return ensemble_command(setup)

    jobs, trainings = [], [f"training of fold {fold}" for fold in range(setup.request.folds)]
    for fold, training in enumerate(trainings):
        train = partial(train_command, setup, fold)
        jobs.append(Job(training, train, setup.output, partial(progress.trained, fold)))
        name = f"evaluation of fold {fold}"
        jobs.append(Job(name, partial(evaluate, fold), setup.output, partial(is_evaluated, fold), [training]))
    if has_tests:
        name = "evaluation of the ensemble"
        jobs.append(Job(name, evaluate_ensemble, setup.output, progress.ensemble_evaluated, trainings))
    return jobs


def _completed(record: Path) -> bool:
    return str(_read(record).get("status")).startswith("completed")


def _read(file: Path) -> dict[str, Any]:
    """Content of a record; nothing where there is none. It may be replaced at this moment, but is never half."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def _digest(file: Path) -> str:
    """SHA-256 of a model, calculated once for each state of its file; empty where there is none."""
    try:
        state = file.stat()
    except FileNotFoundError:
        return ""
    return _digest_of(file, state.st_mtime_ns, state.st_size, state.st_ino)


@cache
def _digest_of(file: Path, *_: int) -> str:
    return sha256_of(file)
