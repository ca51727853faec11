# SPDX-License-Identifier: Apache-2.0
"""A cross-validation from the plan to the table: what is decided once, the jobs, what they amount to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa2_monai.bundle.crossval.jobs import Progress, crossval_jobs
from sa2_monai.bundle.crossval.out_of_fold import SELECTED, fold_means, read_out_of_fold, score_out_of_fold
from sa2_monai.bundle.crossval.request import CrossvalRequest
from sa2_monai.bundle.crossval.scores import read_scores, summarize
from sa2_monai.bundle.crossval.setup import PLAN, RESTORE, CrossvalSetup, set_up
from sa2_monai.bundle.crossval.splits import write_fold_splits
from sa2_monai.bundle.launch import hold, run_jobs, signals_raise
from sa2_monai.bundle.run.folder import complete_run
from sa2_monai.data.layouts.pairs_csv import write_pairs
from sa2_monai.io.atomic import write_json
from sa2_monai.io.digest import sha256_of
from sa2_monai.io.folders import check_writable

if TYPE_CHECKING:
    from sa2_monai.data.layouts.cases import Parts
    from sa2_monai.evaluation import EvaluationResult

__all__ = ["STATE", "cross_validate"]

#: In the output folder: scores of the folds, their mean, the ensemble, all cases out of fold.
STATE = "crossval.json"
#: Of the file and of the folders beside it.
_VERSION = 3


def cross_validate(request: CrossvalRequest, resume: bool = False) -> dict[str, Any]:
    """Train and score a model for each fold, score all cases by the models that have not seen them, and the ensemble.

    What the output folder holds of the same cross-validation is gone on with, however it was interrupted. Several
    processes, of several machines that share the folder, divide the work; each returns when all of it is done.

    Args:
        request: what is wanted.
        resume: also go on with trainings that the limit of their time has stopped.

    Returns:
        The content of ``crossval.json``: ``configuration``, ``folds`` (scores on the test part by number), their
        ``summary``, ``ensemble`` (``None`` without a test part), ``out_of_fold``.

    Raises:
        SwitchError: an unknown id, or a value that is no choice; before anything is read or written.
        OSError: a folder or file is missing, or the output folder cannot be written.
        ValueError: data that cannot be folded, or an output folder that holds another cross-validation.
        RuntimeError: a run failed; its own message stands above.
        KeyboardInterrupt, SystemExit: after a signal, when the programs have ended.
    """
    with signals_raise():
        setup, splits = _begin(request)
        progress = Progress(setup, resume)
        has_tests = bool(splits[0]["test"])
        run_jobs(crossval_jobs(setup, progress, has_tests), request.devices)
        with hold(setup.output / "jobs" / "results", "results of a cross-validation"):
            return _finish(setup, splits, progress, has_tests)


def _begin(request: CrossvalRequest) -> tuple[CrossvalSetup, list[Parts]]:
    """Decide on everything, or compare with what was decided when the cross-validation was begun."""
    file = Path(request.output) / STATE
    earlier = _read_state(file)
    setup = set_up(request, None if earlier is None else earlier["configuration"])
    check_writable(setup.output)
    with hold(setup.output / "jobs" / "setup", "beginning of a cross-validation"):
        if earlier is None and (earlier := _read_state(file)) is not None:  # another machine was faster
            setup = set_up(request, earlier["configuration"])
        if earlier is None:
            _write_plan(setup)
        else:
            _check_same(file, _configuration(setup), earlier["configuration"])
        splits = write_fold_splits(setup, earlier is not None)
        if earlier is None:
            write_json(file, {"version": _VERSION, "configuration": _configuration(setup), "folds": {}})
    for fold, split in enumerate(splits):
        sizes = ", ".join(f"{len(cases)} {part}" for part, cases in split.items())
        print(f"fold {fold} of {request.folds}: {sizes}", flush=True)
    return setup, splits


def _finish(setup: CrossvalSetup, splits: list[Parts], progress: Progress, has_tests: bool) -> dict[str, Any]:
    """Bring the folders together: the cards of the runs, the scores out of fold, ``crossval.json``."""
    from sa2_monai.evaluation.result import JSON_NAME

    folds: dict[str, Any] = {}
    for fold, sha256 in enumerate(progress.models()):
        folder, scores = setup.fold(fold), {"dice": None, "iou": None, "cases": 0}
        results = None
        if has_tests:
            scores = read_scores(folder / "eval")
            results = json.loads((folder / "eval" / JSON_NAME).read_text(encoding="utf-8"))
        complete_run(folder, results)
        stopped = progress.stopped(fold)
        folds[str(fold)] = {**scores, "model_sha256": sha256, **({"stopped": stopped} if stopped else {})}
    if progress.is_of_models(setup.out_of_fold):
        result = read_out_of_fold(setup.output)
    else:
        print("\nscores of all cases, each by the model that has not seen it", flush=True)
        result = score_out_of_fold(setup, [split["validation"] for split in splits])
        progress.note_models(setup.out_of_fold)
    state = {
        "version": _VERSION,
        "configuration": _configuration(setup),
        "folds": folds,
        "summary": summarize(list(folds.values())),
        "ensemble": read_scores(setup.ensemble) if has_tests else None,
        "out_of_fold": _out_of_fold(result),
    }
    write_json(setup.output / STATE, state)
    return state


def _out_of_fold(result: EvaluationResult) -> dict[str, Any]:
    """Scores of all cases out of fold: means, the interval of Dice, Dice and IoU of each fold, warnings."""
    overall = result.summary["overall"]
    return {
        "dice": overall["dice"]["mean_of_class_means"],
        "iou": overall["jaccard"]["mean_of_class_means"],
        "dice_ci95": [overall["dice"]["ci95_low"], overall["dice"]["ci95_high"]],
        "unit": result.summary["protocol"]["bootstrap"]["unit"],
        "cases": result.summary["cases"],
        "folds": [
            {"dice": dice, "iou": iou}
            for dice, iou in zip(fold_means(result, "dice"), fold_means(result, "jaccard"), strict=True)
        ],
        "warnings": [text for text in result.summary["warnings"] if text.startswith(SELECTED)],
    }


def _read_state(file: Path) -> dict[str, Any] | None:
    """What was begun; ``None`` of a cross-validation that begins."""
    if not file.is_file():
        return None
    state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if state.get("version") != _VERSION:
        raise ValueError(
            f"{file} was begun by an earlier version of sa2_monai: this one cannot go on with it. Finish it with that "
            "version, or begin anew with another --output."
        )
    return state


def _write_plan(setup: CrossvalSetup) -> None:
    """Show and keep what all folds share."""
    if setup.plan is not None:
        print(f"{setup.plan.table()}\n", flush=True)
        setup.plan.write(setup.output / PLAN)
    if setup.pairs is not None:
        write_pairs(setup.data, setup.pairs.parts)


def _configuration(setup: CrossvalSetup) -> dict[str, Any]:
    """What has to be the same when a cross-validation goes on, as JSON has it."""
    from sa2_monai.weights import plain

    request, plan = setup.request, setup.output / PLAN
    return {
        "network": setup.network,
        "config": [Path(overlay).name for overlay in request.overlays],
        "data": str(setup.data),
        "folds": request.folds,
        "seed": request.seed,
        "paper": request.paper,
        "overrides": dict(plain(request.overrides)),
        "plan": sha256_of(plan) if plan in setup.overlays else None,
    }


def _check_same(file: Path, now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings."""
    wrong = [f"{key} is {value!r}, was {then.get(key)!r}" for key, value in now.items() if value != then.get(key)]
    if wrong:
        raise ValueError(f"{file} was begun with other settings: {'; '.join(wrong)}. {RESTORE}")
