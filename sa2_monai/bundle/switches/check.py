# SPDX-License-Identifier: Apache-2.0
"""Checking the switches of a configuration, or single values, before anything is built."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sa2_monai.bundle.switches.rules import contradictions
from sa2_monai.bundle.switches.schema import close_match, networks, problem, switch_names
from sa2_monai.bundle.switches.unknown import unknown_ids
from sa2_monai.bundle.switches.values import switch_values
from sa2_monai.io.kinds import current_word

__all__ = ["SwitchError", "check_config", "check_values", "close_match"]


class SwitchError(ValueError):
    """A switch has a value that is no choice, or there is no such switch; the message is one line."""


def check_config(
    config: Mapping[str, Any],
    *,
    source: str | None = None,
    unknown: bool = False,
    entries: Collection[str] = (),
) -> None:
    """Refuse switches that are no choice, contradict each other or do not exist.

    Looked at are configurations of the networks of this package; other bundles may have words of their own.

    Args:
        config: the merged configuration as it is written, with the overrides. Nothing of it is built.
        source: a file for the message.
        unknown: also refuse top-level ids that nothing uses.
        entries: ids that are used from outside, see ``unknown``.

    Raises:
        SwitchError: one line with each switch, its value and what is allowed.
    """
    network = _network_of(config)
    if network not in networks():  # somebody's own bundle, whose words may be others
        return
    names = switch_names(network)
    values = switch_values(config, [name for name in config if name in names])
    if "kind" in values:
        values["kind"] = current_word(values["kind"])
    problems = {name: problem(name, value, network, config) for name, value in values.items()}
    told = [text for text in problems.values() if text]
    right = {name: value for name, value in values.items() if not problems[name]}
    trains = "train" in config and "section" not in config
    told += contradictions(right, network, trains)
    if "train" in config and right.get("overlap", 0) is None:
        told.append("overlap is null, expected a number from 0 to below 1")
    if unknown:
        told += unknown_ids(config, names, entries)
    _refuse(told, source)


def check_values(
    values: Mapping[str, Any],
    source: str | None = None,
    network: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Refuse plain values of switches, e.g. of the file beside weights.

    Args:
        values: by name; names that are no switches are not looked at.
        source: where they come from, for the message.
        network: name of the network.
        config: that they belong to, for switches whose choices stand in it (``loss_name``).

    Raises:
        SwitchError: as :func:`check_config`.
    """
    problems = {name: problem(name, value, network, config or {}) for name, value in values.items()}
    right = {name: values[name] for name, text in problems.items() if not text}
    _refuse([*filter(None, problems.values()), *contradictions(right, network, training=False)], source)


def _network_of(config: Mapping[str, Any]) -> str | None:
    info = config.get("model_info")
    found = info.get("network") if isinstance(info, Mapping) else None
    return found if isinstance(found, str) else None


def _refuse(problems: list[str], source: str | None) -> None:
    if problems:
        raise SwitchError(f"{source}: {'; '.join(problems)}" if source else "; ".join(problems))
