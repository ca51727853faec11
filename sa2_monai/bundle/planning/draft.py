# SPDX-License-Identifier: Apache-2.0
"""What is known while a plan is made: the fingerprint, the network, what the user gave, what has been decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sa2_monai.bundle.planning.plan import Choice
from sa2_monai.bundle.switches.values import switch_values
from sa2_monai.data.fingerprint import Fingerprint
from sa2_monai.networks.catalogue import Network, network_record

__all__ = ["Draft"]

#: Minutes that a training on a CPU may take where nobody says how many.
CPU_MINUTES = 20.0


@dataclass
class Draft:
    """A plan that is being made; ``draft["roi_size"]`` is the value as it stands.

    Args:
        fingerprint: of the data.
        name: of the network.
        base: content of the network's ``train.yaml``.
        given: values of the user, which are not planned.
        budget: minutes that the user has; ``None`` if not said.
    """

    fingerprint: Fingerprint
    name: str
    base: Mapping[str, Any]
    given: Mapping[str, Any]
    budget: float | None = None
    choices: dict[str, Choice] = field(default_factory=dict)

    def __getitem__(self, switch: str) -> Any:
        if switch in self.choices and switch not in self.given:
            return self.choices[switch].value
        values = {**self.base, **{name: choice.value for name, choice in self.choices.items()}, **self.given}
        return switch_values(values, [switch]).get(switch)  # an expression by its value

    @property
    def network(self) -> Network:
        """Record of the network."""
        return network_record(self.name)

    @property
    def of_host(self) -> str:
        """Of what a baseline does: whose it is, in words; empty for a network that has a bundle of its own."""
        return "" if self.network.host is None else f" for {self.network.host}"

    @property
    def on_cpu(self) -> bool:
        """Whether the training will run without a GPU."""
        return self.fingerprint.machine.device == "cpu"

    @property
    def minutes(self) -> float | None:
        """Time budget: the user's; else the usual one of a CPU; on a GPU ``None``."""
        return CPU_MINUTES if self.budget is None and self.on_cpu else self.budget

    @property
    def minutes_text(self) -> str:
        """The time budget in words; empty without one."""
        if self.minutes is None:
            return ""
        return f"{self.minutes:.3g} minute{'s' * (self.minutes != 1)}"

    @property
    def classes(self) -> int:
        """Number of classes, with the background."""
        return len(self["class_names"])

    @property
    def thickness(self) -> float:
        """Of the thinnest class, in pixels of the files; see :class:`~sa2_monai.data.fingerprint.facts.Objects`."""
        found = [one.objects.thickness for one in self.fingerprint.classes if one.objects is not None]
        return min(found, default=max(self.fingerprint.geometry.size))
