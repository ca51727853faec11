# SPDX-License-Identifier: Apache-2.0
"""What experiment tracking is told about a run: its switches, the numbers of its report."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver

__all__ = ["read_switches", "report_metrics"]

# Not of the run itself; the address of a server may hold a password.
_APART = ("tracking_uri", "experiment_name", "run_name", "save_execute_config", "training")


def read_switches(config_file: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the switches at the top of a merged configuration, with the values that they have in the end.

    A switch is a plain value, or an expression that depends on nothing but switches; what builds or runs components is
    none.

    Args:
        config_file: JSON file of the merged configuration.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is no JSON.
    """
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    parser = ConfigParser(config)
    names = [name for name in config if name not in _APART and _is_switch(config, name)]
    return {name: parser.get_parsed_content(name) for name in names}


def _is_switch(config: Mapping[str, Any], name: str, seen: tuple[str, ...] = ()) -> bool:
    if name not in config or name in seen:
        return False
    value = config[name]
    if not _is_text(value):
        return _is_plain(value)
    used = {reference.split("::")[0] for reference in ReferenceResolver.match_refs_pattern(value)}
    return all(_is_switch(config, other, (*seen, name)) for other in used)


def _is_text(value: Any) -> bool:
    """Whether it is an expression, a reference or a macro."""
    return isinstance(value, str) and value.lstrip().startswith(("$", "@", "%"))


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" not in value and all(_is_plain(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return not _is_text(value)


def report_metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The means of the report of an evaluation, by names that MLflow allows.

    Args:
        report: content of ``metrics_summary.json``.

    Returns:
        ``dice`` (mean of the means of the classes), ``dice_<class>`` and so on for every metric; of the paper protocol
        ``paper_<name>``. Undefined values are left out.
    """
    found: dict[str, Any] = {}
    for metric, block in report.get("overall", {}).items():
        found[metric] = block["mean_of_class_means"]
    for name, metrics in report.get("per_class", {}).items():
        found.update({f"{metric}_{name}": block["mean"] for metric, block in metrics.items() if "mean" in block})
    found.update(_numbers(report.get("paper", {}), "paper"))
    found["cases"] = report.get("cases")
    return {re.sub(r"[^A-Za-z0-9_. /-]", "_", name): float(v) for name, v in found.items() if _is_number(v)}


def _numbers(block: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(block, Mapping):
        for key, value in block.items():
            yield from _numbers(value, f"{name}_{key}")
    else:
        yield name, block


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
