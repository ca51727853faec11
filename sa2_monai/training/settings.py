# SPDX-License-Identifier: Apache-2.0
"""Optimiser and learning rate schedule across an interruption, with settings that may have changed."""

from __future__ import annotations

import copy
import logging
import warnings
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sa2_monai.weights import plain

__all__ = ["optimizer_settings", "restore_optimizer", "restore_scheduler", "scheduler_settings"]

logger = logging.getLogger(__name__)


def optimizer_settings(optimizer: Optimizer) -> dict[str, Any]:
    """What the configuration says about the optimiser; to be asked before its first step."""
    groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    return {"class": type(optimizer).__name__, "groups": plain(copy.deepcopy(groups), "optimizer settings")}


def scheduler_settings(scheduler: Any) -> dict[str, Any] | None:
    """What the configuration says about the schedule; to be asked before its first step."""
    if scheduler is None:
        return None
    return {"class": type(scheduler).__name__, "state": plain(copy.deepcopy(scheduler.state_dict()), "lr_scheduler")}


def restore_optimizer(
    optimizer: Optimizer, state: dict[str, Any], then: dict[str, Any], now: dict[str, Any], source: str
) -> None:
    """Restore an optimiser; settings that were changed in the configuration since then win over stored ones.

    Args:
        optimizer: as the configuration builds it.
        state: its stored ``state_dict``.
        then: :func:`optimizer_settings` of the interrupted run.
        now: those of this run.
        source: file, for messages.

    Raises:
        ValueError: for another class of optimiser or other parameter groups.
    """
    if then["class"] != now["class"] or len(then["groups"]) != len(now["groups"]):
        raise ValueError(
            f"{source} was written with {then['class']} and {len(then['groups'])} parameter groups, the configuration "
            f"has {now['class']} and {len(now['groups'])}. Restore that setting (layer_decay makes groups), or "
            "start without resume."
        )
    groups = [dict(group) for group in state["param_groups"]]
    for group, old, new in zip(groups, then["groups"], now["groups"], strict=True):
        for key in new:
            if key in old and old[key] != new[key]:
                logger.info("%s was changed from %s to %s: the new value is used.", key, old[key], new[key])
                group[key] = new[key]
    try:
        optimizer.load_state_dict({**state, "param_groups": groups})
    except ValueError as error:
        raise ValueError(f"{source} does not fit the optimiser ({error}). Start without resume.") from error


def restore_scheduler(
    scheduler: Any, state: dict[str, Any], then: dict[str, Any], now: dict[str, Any], optimizer: Optimizer
) -> None:
    """Restore a schedule; when its settings have changed, continue on the new schedule at the same step.

    The stored state of a schedule contains its settings, its total length among them: loaded as it is, a training
    whose ``max_epochs`` has grown would go on with the old schedule's last rate.

    Args:
        scheduler: as the configuration builds it, not yet stepped.
        state: its stored ``state_dict``.
        then: :func:`scheduler_settings` of the interrupted run.
        now: those of this run.
        optimizer: the schedule's optimiser, already restored.
    """
    if then == now:
        scheduler.load_state_dict(state)
        return
    if isinstance(scheduler, ReduceLROnPlateau):  # its rate depends on what has happened, not on time
        kept = {k: v for k, v in state.items() if k in now["state"] and then["state"].get(k) == now["state"][k]}
        scheduler.load_state_dict({**now["state"], **kept})
        logger.info("settings of the learning rate schedule were changed: the new ones are used from here on.")
        return
    steps = _steps(state)
    for group, rate in zip(optimizer.param_groups, now["state"]["_last_lr"], strict=True):
        group["lr"] = rate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "step of the schedule before that of the optimiser": on purpose
        for _ in range(steps):
            scheduler.step()
    logger.info(
        "settings of the learning rate schedule were changed: training continues at step %d of the new one, rate %s.",
        steps,
        ", ".join(f"{rate:g}" for rate in scheduler.get_last_lr()),
    )


def _steps(state: dict[str, Any]) -> int:
    """How often a schedule was stepped; a chain of schedules does not count itself."""
    return int(state.get("last_epoch", max((_steps(part) for part in state.get("_schedulers", [])), default=0)))
