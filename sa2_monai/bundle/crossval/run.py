# SPDX-License-Identifier: Apache-2.0
"""A cross-validation from the first fold to the ensemble; finished folds are kept in ``crossval.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.crossval.request import CrossvalRequest
from sa2_monai.bundle.crossval.runs import run_ensemble, run_fold
from sa2_monai.bundle.crossval.scores import scores_text, summarize
from sa2_monai.bundle.crossval.setup import PLAN, RESTORE, CrossvalSetup, set_up
from sa2_monai.bundle.crossval.splits import write_fold_splits
from sa2_monai.data.layouts.pairs_csv import write_pairs
from sa2_monai.io.atomic import write_json
from sa2_monai.io.digest import sha256_of
from sa2_monai.io.folders import check_writable

__all__ = ["STATE", "cross_validate"]

#: In the output folder: scores of the folds, their mean, the ensemble.
STATE = "crossval.json"
#: Of the file and of the folders beside it.
_VERSION = 2


def cross_validate(request: CrossvalRequest, resume: bool = False) -> dict[str, Any]:
    """Train and score a model for each fold that is not finished, then score the ensemble; print what is done.

    Args:
        request: what is wanted.
        resume: go on with what an interrupted cross-validation has left.

    Returns:
        The content of ``crossval.json``: ``configuration``, ``folds`` (scores by number), ``summary``, ``ensemble``.

    Raises:
        SwitchError: an unknown id, or a value that is no choice; before anything is read or written.
        OSError: a folder or file is missing, or the output folder cannot be written.
        ValueError: data that cannot be folded, or an output folder that holds another cross-validation.
        RuntimeError: a run failed; its own message stands above.
    """
    file = Path(request.output) / STATE
    earlier = _read_state(file, resume)
    setup = set_up(request, None if earlier is None else earlier["configuration"])
    if earlier is not None:
        _check_same(file, _configuration(setup), earlier["configuration"])
        state = earlier
    else:
        _write_plan(setup)
        state = {"version": _VERSION, "configuration": _configuration(setup), "folds": {}, "ensemble": None}
    splits = write_fold_splits(setup, earlier is not None)
    write_json(file, state)
    for fold in range(request.folds):
        done = state["folds"].get(str(fold))
        if done is not None and _is_current(setup, fold, done):
            print(f"fold {fold} is finished and skipped: {scores_text(done)}", flush=True)
            continue
        sizes = ", ".join(f"{len(cases)} {part}" for part, cases in splits[fold].items())
        print(f"\nfold {fold} of {request.folds}: {sizes}", flush=True)
        state["ensemble"] = None  # made of other models, if there is one
        state["folds"][str(fold)] = run_fold(setup, fold)
        write_json(file, state)
    if state["ensemble"] is None:
        print(f"\nensemble of {request.folds} models", flush=True)
        state["ensemble"] = run_ensemble(setup)
    state["summary"] = summarize([state["folds"][str(fold)] for fold in range(request.folds)])
    write_json(file, state)
    return state


def _read_state(file: Path, resume: bool) -> dict[str, Any] | None:
    """What is finished, ``None`` of a cross-validation that begins; refuses an output folder that holds one."""
    if not file.is_file():
        return None
    if not resume:
        raise ValueError(f"{file.parent} holds a cross-validation. Go on with --resume, or choose another --output.")
    state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if state.get("version") != _VERSION:
        raise ValueError(
            f"{file} was begun by an earlier version of sa2_monai, whose folds were no runs: this one cannot go on "
            "with it. Finish it with that version, or begin anew with another --output."
        )
    return state


def _write_plan(setup: CrossvalSetup) -> None:
    """Show and keep what all folds share."""
    check_writable(setup.output)
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


def _is_current(setup: CrossvalSetup, fold: int, scores: Mapping[str, Any]) -> bool:
    """Whether the training went as far as it was to go, and its model is still the one that was scored."""
    model = setup.model(fold)
    return "stopped" not in scores and model.is_file() and sha256_of(model) == scores["model_sha256"]
