# SPDX-License-Identifier: Apache-2.0
"""Ids of a configuration that do nothing: MONAI adds what it does not know in silence."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sa2_monai.bundle.switches.schema import close_match
from sa2_monai.bundle.switches.values import references

__all__ = ["unknown_ids"]

# What MONAI and its tools ask for without any reference in the configuration.
_ENTRY_POINTS = {
    *("initialize", "run", "finalize", "training", "_meta_", "imports", "displayable_configs"),
    *("train", "validate", "evaluator", "dataset", "dataloader", "inferer", "handlers", "key_metric", "network"),
    *("network_def", "preprocessing", "postprocessing", "loss", "optimizer", "lr_scheduler"),
}


def unknown_ids(config: Mapping[str, Any], switches: Collection[str], entries: Collection[str] = ()) -> Iterator[str]:
    """One line for each id that is no switch, that nothing refers to, and that refers to nothing itself.

    An overlay of somebody's own may bring new ids: those that are used, and actions, are left alone.

    Args:
        config: the merged configuration, with the overrides.
        switches: names of the switches.
        entries: further ids that are used from outside, e.g. the action that is run.
    """
    used = references(config)
    known = {*_ENTRY_POINTS, *switches, *entries}
    yield from _idle(config, "", used, known)


def _idle(config: Mapping[str, Any], where: str, used: set[str], known: set[str]) -> Iterator[str]:
    for key, value in config.items():
        name = f"{where}::{key}" if where else str(key)
        if isinstance(value, Mapping) and name in ("train", "validate"):
            yield from _idle(value, name, used, known)
            continue
        if str(key) in known or str(key).startswith("_") or _is_used(name, used) or _does_something(value):
            continue
        of_level = {one.split("::")[-1] for one in used if one.rpartition("::")[0] == where}
        near = close_match(str(key), [one for one in {*of_level, *known, *config} if one != key])
        hint = f" (did you mean {near}?)" if near else ""
        shown = name.replace("::", "#")
        yield f"{shown} is no switch of this configuration, and nothing in it refers to it{hint}"


def _is_used(name: str, used: set[str]) -> bool:
    return any(one == name or one.startswith(f"{name}::") for one in used)


def _does_something(value: Any) -> bool:
    """An action or a component: somebody put it there on purpose."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(_does_something(one) for one in value.values())
    if isinstance(value, list):
        return any(_does_something(one) for one in value)
    return bool(references(value))
