# SPDX-License-Identifier: Apache-2.0
"""The runs of a cross-validation, each in a process of its own: ``sa2-monai train`` and MONAI's evaluation of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.crossval.process import run_process
from sa2_monai.bundle.crossval.scores import read_scores
from sa2_monai.bundle.crossval.setup import CrossvalSetup, evaluation_files
from sa2_monai.bundle.run.folder import complete_run
from sa2_monai.bundle.run.request import OF_THE_CALL
from sa2_monai.bundle.run.shell import command_line_value
from sa2_monai.bundle.run.target import is_run
from sa2_monai.bundle.switches.text import override_word
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.io.atomic import write_json

__all__ = ["evaluate_models", "run_ensemble", "run_fold", "train_command"]

#: Overlay with those overrides that are null.
NULLS = "null_overrides.json"


def run_fold(setup: CrossvalSetup, fold: int) -> dict[str, Any]:
    """Train the model of a fold, or go on with its training, and score it on the test cases.

    Args:
        setup: of the cross-validation.
        fold: number of the fold, from 0.

    Returns:
        Its scores, see :func:`~sa2_monai.bundle.crossval.scores.read_scores`; ``model_sha256``; of a training that
        was stopped by the time limit ``stopped``: its ``epochs`` and ``max_epochs``.

    Raises:
        RuntimeError: a run failed; its own message stands above.
    """
    from sa2_monai.evaluation.result import JSON_NAME
    from sa2_monai.weights import sha256_of

    folder = setup.fold(fold)
    _run(train_command(setup, fold), f"training of fold {fold}")
    evaluate_models(setup, f"evaluation of fold {fold}", folder, False, {"bundle_root": str(folder)})
    results = folder / "eval"
    complete_run(folder, json.loads((results / JSON_NAME).read_text(encoding="utf-8")))
    return {**read_scores(results), "model_sha256": sha256_of(setup.model(fold)), **_stopped(results / "run.json")}


def run_ensemble(setup: CrossvalSetup) -> dict[str, Any]:
    """Score the ensemble of all folds (the average of their probabilities) on the test cases.

    Args:
        setup: of the cross-validation, whose folds are finished.

    Returns:
        Its scores.

    Raises:
        RuntimeError: the run failed; its own message stands above.
    """
    folder = setup.output / "ensemble"
    values: dict[str, Any] = {
        "bundle_root": str(setup.fold(0)),
        "output_dir": str(folder),
        "fold_checkpoints": [str(setup.model(fold)) for fold in range(setup.request.folds)],
        # The published numbers of SA2-Net's ensemble have a formula of their own.
        **({"family": "image_ensemble"} if setup.request.paper and setup.evaluation("family") == "image" else {}),
    }
    evaluate_models(setup, "evaluation of the ensemble", setup.fold(0), True, values)
    return read_scores(folder)


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
        overrides = {**setup.overrides, **folds}
    for option, value in (("time", request.minutes), ("device", request.device), ("tracking", request.tracking)):
        command += [] if value is None else [f"--{option}", str(value)]
    return command + [override_word(name, value) for name, value in overrides.items()]


def evaluate_models(setup: CrossvalSetup, what: str, run: Path, ensemble: bool, values: Mapping[str, Any]) -> None:
    """Score the test cases by the configurations of a run.

    Args:
        setup: of the cross-validation.
        what: the step in words, for the error.
        run: folder of the run.
        ensemble: by the ensemble, not by the run's own weights.
        values: overrides by id that come after those of the setup.

    Raises:
        RuntimeError: the evaluation failed; its own message stands above.
    """
    request = setup.request
    everything = {
        **request.overrides,
        **({} if request.device is None else {"device": request.device}),
        **{name: verbatim(value) for name, value in values.items()},
        **({} if request.tracking is None else {"tracking": request.tracking}),
    }
    files = [str(run / "configs" / "train.json"), *map(str, evaluation_files(run, request.paper, ensemble))]
    nulls = {name: None for name, value in everything.items() if value is None}
    if nulls:  # MONAI drops None from its command line, and the value of the file would stay
        write_json(setup.output / NULLS, nulls)
        files.append(str(setup.output / NULLS))
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files)]
    for name, value in everything.items():
        if value is not None:
            command += [f"--{name}", command_line_value(value)]
    _run(command, what)


def _run(command: list[str], what: str) -> None:
    code = run_process(command)
    if code:
        raise RuntimeError(
            f"the {what} failed with exit code {code}; its message stands above. Correct the cause and go on with "
            "--resume."
        )


def _stopped(record: Path) -> dict[str, Any]:
    """What is said of a training that was stopped by the time limit; nothing of any other."""
    content = json.loads(record.read_text(encoding="utf-8"))
    if content.get("stopped") != "time":
        return {}
    epochs = {"epochs": content["epochs"][-1]["epoch"], "max_epochs": content["configuration"]["max_epochs"]}
    return {"stopped": epochs}
