# SPDX-License-Identifier: Apache-2.0
"""A cross-validation from the first fold to the ensemble; finished folds are kept in ``crossval.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sa2_monai.bundle.crossval.runs import run_ensemble, run_fold
from sa2_monai.bundle.crossval.scores import scores_text, summarize
from sa2_monai.bundle.crossval.setup import CrossvalSetup
from sa2_monai.bundle.crossval.splits import RESTORE, write_fold_splits
from sa2_monai.bundle.switches import check_config
from sa2_monai.io.atomic import write_json
from sa2_monai.io.folders import check_writable

__all__ = ["STATE", "cross_validate"]

#: In the output folder: scores of the folds, their mean, the ensemble.
STATE = "crossval.json"


def cross_validate(setup: CrossvalSetup, resume: bool = False) -> dict[str, Any]:
    """Train and score a model for each fold that is not finished, then score the ensemble; print what is done.

    Args:
        setup: what all runs share.
        resume: go on with what an interrupted cross-validation has left.

    Returns:
        The content of ``crossval.json``: ``configuration``, ``folds`` (scores by number), ``summary``, ``ensemble``.

    Raises:
        SwitchError: an override with a value that is no choice.
        OSError: a folder or file is missing, or the output folder cannot be written.
        ValueError: data that cannot be folded, or an output folder that holds another cross-validation.
        RuntimeError: a run failed; its own message stands above.
    """
    for step in ("train", "ensemble"):
        check_config(setup.overridden(step))
    check_writable(setup.output)
    state = _read_state(setup, resume)
    splits = write_fold_splits(setup, resume)
    write_json(setup.output / STATE, state)
    for fold in range(setup.folds):
        done = state["folds"].get(str(fold))
        if done is not None and _is_current(setup, fold, done):
            print(f"fold {fold} is finished and skipped: {scores_text(done)}", flush=True)
            continue
        sizes = ", ".join(f"{len(cases)} {part}" for part, cases in splits[fold].items())
        print(f"\nfold {fold} of {setup.folds}: {sizes}", flush=True)
        state["ensemble"] = None  # made of other models, if there is one
        state["folds"][str(fold)] = run_fold(setup, fold, resume)
        write_json(setup.output / STATE, state)
    if state["ensemble"] is None:
        print(f"\nensemble of {setup.folds} models", flush=True)
        state["ensemble"] = run_ensemble(setup)
    state["summary"] = summarize([state["folds"][str(fold)] for fold in range(setup.folds)])
    write_json(setup.output / STATE, state)
    return state


def _read_state(setup: CrossvalSetup, resume: bool) -> dict[str, Any]:
    """What is finished; refuses an output folder that holds something else."""
    configuration = setup.record()
    path = setup.output / STATE
    if not path.is_file():
        return {"configuration": configuration, "folds": {}, "ensemble": None, "summary": None}
    if not resume:
        raise ValueError(f"{setup.output} holds a cross-validation. Go on with --resume, or choose another --output.")
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    then = state["configuration"]
    wrong = [f"{key} is {now!r}, was {then.get(key)!r}" for key, now in configuration.items() if now != then.get(key)]
    if wrong:
        raise ValueError(f"{path} was begun with other settings: {'; '.join(wrong)}. {RESTORE}")
    return state


def _is_current(setup: CrossvalSetup, fold: int, scores: Mapping[str, Any]) -> bool:
    """Whether the model that was scored is still the one that is there."""
    from sa2_monai.weights import sha256_of

    model = setup.model(fold)
    return model.is_file() and sha256_of(model) == scores["model_sha256"]
