# SPDX-License-Identifier: Apache-2.0
"""What differs between two runs, and whether they can be compared at all."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "monai", "numpy", "scipy", "pytorch-ignite", "pillow", "nibabel", "SimpleITK")
NOT_COMPARED = ("scores",)  # follow from the label maps; they are printed where something else differs


def environment() -> dict[str, Any]:
    """Whatever changes last digits though the code is the same."""
    import torch

    return {
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def processor() -> str:
    """Model of the processor, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def refusal(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Why the digests cannot be compared, or ``None``."""
    changed = [
        f"{name} {stored.get(name, 'not stated')} then, {now.get(name, 'not stated')} now"
        for name in sorted({*stored, *now})
        if stored.get(name) != now.get(name)
    ]
    if not changed:
        return None
    return (
        f"made in another environment ({'; '.join(changed)}), where last digits may differ. "
        "Run the older commit here first: tools/freeze --root OLD_CHECKOUT --output FILE"
    )


def differences(stored: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """One line for each case and item that is not the same, with the scores of both sides."""
    lines = []
    for name in sorted({*stored, *found}):
        if name not in found or name not in stored:
            lines.append(f"{name}: only in {'the file' if name in stored else 'this run'}")
            continue
        then, now = stored[name], found[name]
        if "failed" in now and "failed" in then:
            lines.append(f"{name}: failed in both: {now['failed']}")
            continue
        items = [item for item in sorted({*then, *now}) if item not in NOT_COMPARED]
        changed = [f"{name}: {item}: {which(then, now, item)}" for item in items if then.get(item) != now.get(item)]
        if changed:
            lines += [*changed, *(f"{name}: {line}" for line in scores(then, now))]
    return lines


def which(then: Mapping[str, Any], now: Mapping[str, Any], item: str) -> str:
    """Which part of an item differs: names of files, first value of a curve, message of a failure."""
    if item not in then or item not in now:
        side, value = ("file", then[item]) if item in then else ("run", now[item])
        return f"only in the {side}" + (f" ({value})" if isinstance(value, str) else "")
    old, new = then[item], now[item]
    if isinstance(old, str) or isinstance(new, str):
        return f"{old} -> {new}"
    parts = [part for part in sorted({*old, *new}) if old.get(part) != new.get(part)]
    return ", ".join(first_value(part, old.get(part), new.get(part)) for part in parts)


def first_value(part: str, old: Any, new: Any) -> str:
    """Name of a part, of a curve with the first place where it leaves the stored one."""
    if not isinstance(old, list) or not isinstance(new, list):
        return part if old and new else f"{part} (only in the {'file' if old else 'run'})"
    for place, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other:
            return f"{part} from value {place + 1} of {len(old)}: {one:.7g} -> {other:.7g}"
    return f"{part}: {len(old)} -> {len(new)} values"


def scores(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Mean scores of both sides, for the CHANGELOG."""
    old, new = then.get("scores", {}), now.get("scores", {})
    return [f"{step}: {old[step]} -> {new[step]}" for step in sorted({*old} & {*new}) if old[step] != new[step]]
