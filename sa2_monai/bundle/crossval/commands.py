# SPDX-License-Identifier: Apache-2.0
"""The programs of a cross-validation: ``sa2-monai train`` of a fold, and MONAI's evaluation of a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.crossval.setup import CrossvalSetup, evaluation_files
from sa2_monai.bundle.locate import load_one
from sa2_monai.bundle.run.request import OF_THE_CALL
from sa2_monai.bundle.run.shell import command_line_value
from sa2_monai.bundle.run.target import is_run
from sa2_monai.bundle.successive import THEN
from sa2_monai.bundle.switches.text import override_word
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.io.atomic import write_json

__all__ = ["ensemble_command", "evaluate_command", "report_id", "train_command"]

#: Overlay with those overrides that are null.
NULLS = "null_overrides.json"


def train_command(setup: CrossvalSetup, fold: int) -> list[str]:
    """The command that trains the model of a fold, or goes on with a training that has begun.

    Args:
        setup: of the cross-validation.
        fold: number of the fold, from 0.
    """
    request, folder = setup.request, setup.fold(fold)
    command = [sys.executable, "-m", "sa2_monai", "train"]
    if is_run(folder):  # with the settings that it was begun with
        command += ["--output", str(folder), "--resume"]
        overrides = {name: value for name, value in setup.overrides.items() if name in OF_THE_CALL}
    else:
        command += [str(setup.data), "--output", str(folder), "--network", setup.network, "--no-plan"]
        command += [word for overlay in setup.overlays for word in ("--config", str(overlay))]
        folds = {"fold": fold, "num_folds": request.folds, "split_seed": request.seed}
        listed = {} if setup.fold_list is None else {"split": str(setup.fold_list)}
        overrides = {**setup.chosen, **setup.overrides, **folds, **listed}
    for option, value in (("time", request.minutes), ("device", request.device), ("tracking", request.tracking)):
        command += [] if value is None else [f"--{option}", str(value)]
    return command + [override_word(name, value) for name, value in overrides.items()]


def evaluate_command(setup: CrossvalSetup, fold: int, score: bool = True, predict: bool = True) -> list[str]:
    """The command that evaluates the model of a fold, in one process.

    Args:
        setup: of the cross-validation.
        fold: number of the fold, from 0.
        score: score it on the test cases.
        predict: predict the cases that the fold has held out; they are scored together later.
    """
    evaluations = [*([_score(setup, fold)] if score else []), *([_predict(setup, fold)] if predict else [])]
    if len(evaluations) == 1:
        return _monai_command(*evaluations)
    words = [word for options in evaluations for word in (THEN, *options)]
    return [sys.executable, "-m", "sa2_monai.bundle.successive", *words[1:]]


def ensemble_command(setup: CrossvalSetup) -> list[str]:
    """The command that scores the ensemble of all folds (the average of their probabilities) on the test cases.

    Args:
        setup: of the cross-validation, whose folds are trained.
    """
    run = setup.fold(0)
    values: dict[str, Any] = {
        "bundle_root": str(run),
        "output_dir": str(setup.ensemble),
        "fold_checkpoints": [str(setup.model(fold)) for fold in range(setup.request.folds)],
        # The published numbers of SA2-Net's ensemble have a formula of their own.
        **({"family": "image_ensemble"} if setup.request.paper and setup.evaluation("family") == "image" else {}),
    }
    return _monai_command(_evaluation(setup, run, evaluation_files(run, setup.request.paper, True), values))


def report_id(files: list[Path]) -> str:
    """Id of the handler that scores and writes the report.

    Args:
        files: configuration files of an evaluation, in the order of merging.

    Raises:
        ValueError: there is none.
    """
    for file in reversed(files):
        handlers = load_one(file).get("validate#handlers", [])
        for index, handler in enumerate(handlers):
            if isinstance(handler, Mapping) and str(handler.get("_target_", "")).endswith("ReportHandler"):
                return f"validate#handlers#{index}"
    raise ValueError(f"{files[0]} has no ReportHandler in validate#handlers, which writes the scores")


def _monai_command(options: list[str]) -> list[str]:
    return [sys.executable, "-m", "monai.bundle", "run", *options]


def _score(setup: CrossvalSetup, fold: int) -> list[str]:
    """Of the test cases."""
    run = setup.fold(fold)
    return _evaluation(setup, run, evaluation_files(run, setup.request.paper, False), {"bundle_root": str(run)})


def _predict(setup: CrossvalSetup, fold: int) -> list[str]:
    """Of the cases that a fold has held out, without scores."""
    run = setup.fold(fold)
    files = evaluation_files(run, False, False)
    values = {
        "bundle_root": str(run),
        "section": "validation",
        "output_dir": str(setup.out_of_fold / f"fold{fold}"),
        "predictions_dir": str(setup.out_of_fold / "predictions"),
        f"{report_id(files)}#_disabled_": True,
    }
    return _evaluation(setup, run, files, values)


def _evaluation(setup: CrossvalSetup, run: Path, later: list[Path], values: Mapping[str, Any]) -> list[str]:
    """Options of an evaluation by the configurations of a run; ``values`` come after the overrides of the caller."""
    request = setup.request
    everything = {
        # The precision is that of the trainings.
        **{name: value for name, value in request.overrides.items() if name != "precision"},
        **({} if request.device is None else {"device": request.device}),
        **{name: verbatim(value) for name, value in values.items()},
        **({} if request.tracking is None else {"tracking": request.tracking}),
    }
    files = [str(run / "configs" / "train.json"), *map(str, later)]
    nulls = {name: None for name, value in everything.items() if value is None}
    if nulls:  # MONAI drops None from its command line, and the value of the file would stay
        write_json(setup.output / NULLS, nulls)
        files.append(str(setup.output / NULLS))
    options = ["--config_file", str(files)]
    for name, value in everything.items():
        if value is not None:
            options += [f"--{name}", command_line_value(value)]
    return options
