# SPDX-License-Identifier: Apache-2.0
"""A plan: the value of each switch and why, as a table for people and as an overlay for MONAI."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.bundle.switches.text import value_text
from sa2_monai.data.fingerprint import Fingerprint

__all__ = ["Choice", "Plan"]

_LINE = 120
_VALUE = 34  # characters of a value in the table
#: Follow from the data's folder, from other choices, or from the machine.
_ROUTINE = (
    *("dataset_dir", "layout", "kind", "channel_order", "num_folds", "overlap"),
    *("patience", "min_learning_rate", "restart_interval", "val_interval", "num_workers", "cache_rate"),
)


@dataclass(frozen=True)
class Choice:
    """Value of a switch, and the reason in plain words with the number it rests on."""

    value: Any
    reason: str


@dataclass(frozen=True)
class Plan:
    """What a training is to do.

    Attributes:
        network: name of the network.
        network_reason: why this one.
        choices: by switch, in the order of the network's ``train.yaml``. What the user gave is not among them.
        fingerprint: what the choices rest on.
    """

    network: str
    network_reason: str
    choices: dict[str, Choice]
    fingerprint: Fingerprint

    def values(self) -> dict[str, Any]:
        """The values by switch."""
        return {name: choice.value for name, choice in self.choices.items()}

    def table(self, brief: bool = False) -> str:
        """Table for a terminal: switch, value, why.

        Args:
            brief: leave out what is off and what goes without saying.
        """
        told = [name for name, choice in self.choices.items() if not brief or _is_telling(name, choice.value)]
        rows = [("network", self.network, self.network_reason)]
        rows += [(name, value_text(self.choices[name].value), self.choices[name].reason) for name in told]
        first = max(len(name) for name, _, _ in rows)
        second = min(_VALUE, max(len(value) for _, value, _ in rows))
        lines = []
        for name, value, reason in rows:
            reasons = textwrap.wrap(reason, max(40, _LINE - first - second - 4)) or [""]
            short = value if len(value) <= second else value[: second - 4] + " ..."
            lines.append(f"{name:<{first}}  {short:<{second}}  {reasons[0]}")
            lines += [" " * (first + second + 4) + more for more in reasons[1:]]
        return "\n".join(lines)

    def overlay_text(self) -> str:
        """YAML for ``--config_file "['train.yaml', 'overlay.yaml']"``, every line with its reason."""
        title = f"# {self.network}: {self.network_reason}"
        counts = self.fingerprint.counts
        lines = textwrap.wrap(title, _LINE, subsequent_indent="# ")
        lines.append(f"# Rests on {counts.measured} of {counts.training} training cases; numbers in fingerprint.json.")
        for name, choice in self.choices.items():
            line = f"{name}: {value_text(choice.value)}"
            reason = " ".join(choice.reason.split())
            if len(line) + len(reason) + 4 <= _LINE:
                lines.append(f"{line:<31} # {reason}")
            else:
                lines += [*textwrap.wrap(f"# {reason}", _LINE, subsequent_indent="# "), line]
        return "\n".join(lines) + "\n"

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the overlay, and ``fingerprint.json`` beside it.

        Args:
            path: of the overlay; its folder is made.

        Raises:
            OSError: the files cannot be written.
        """
        from sa2_monai.io.atomic import write_atomically

        target = Path(path)
        write_atomically(target.with_name("fingerprint.json"), self.fingerprint.to_json())
        write_atomically(target, self.overlay_text())


def _is_telling(name: str, value: Any) -> bool:
    return name == "label_values" or (name not in _ROUTINE and value not in (None, 0, False))
