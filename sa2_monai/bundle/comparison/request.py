# SPDX-License-Identifier: Apache-2.0
"""What the caller of a comparison asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sa2_monai.bundle.crossval.request import CrossvalRequest

__all__ = ["CompareRequest"]


@dataclass(frozen=True)
class CompareRequest:
    """A comparison as the caller wants it; what is not given is planned for each network, from the same facts.

    Attributes:
        data: folder of the data, a ``dataset.json`` or a table of pairs.
        output: folder of the comparison.
        networks: names of networks, or folders of bundles; at least one.
        overlays: names of overlays that all bundles have, or files, which are merged after ``train.yaml`` and the plan.
        overrides: values by id, for all networks; ``"sa2net.base_channels"`` is one for the network ``sa2net`` alone.
        folds: number of folds, at least 2.
        seed: of the folds, and of each training.
        minutes: for the training of each fold.
        images: glob of the images below ``data``; with ``labels``.
        labels: glob of the labels.
        colours: table of the colours of colour masks.
        device: ``"cpu"``, ``"cuda:1"``; ``None`` for the GPU where there is one.
        devices: several, for as many folds side by side; ``None`` for one after the other.
        tta: whether the predictions that are scored and timed are averaged over flips and quarter turns.
        stress: whether each network is also measured on corrupted images.
    """

    data: str | os.PathLike[str]
    output: str | os.PathLike[str]
    networks: Sequence[str]
    overlays: Sequence[str] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    folds: int = 5
    seed: int = 999
    minutes: float | None = None
    images: str | None = None
    labels: str | None = None
    colours: str | os.PathLike[str] | None = None
    device: str | None = None
    devices: Sequence[str] | None = None
    tta: bool = False
    stress: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: with one line that says what is wrong.
        """
        if not self.networks:
            raise ValueError("--networks is empty, expected names of networks with commas between them")
        names = [self.title(network) for network in self.networks]
        if doubled := [name for index, name in enumerate(names) if name in names[:index]]:
            raise ValueError(f"--networks has {doubled[0]} twice")
        strange = [name for name in self.overrides if "." in name and name.rpartition(".")[0] not in names]
        if strange:
            raise ValueError(
                f"{strange[0]}: there is no network {strange[0].rpartition('.')[0]} in --networks, which has "
                f"{', '.join(names)}"
            )
        for network in self.networks:
            self.crossval(network)

    @staticmethod
    def title(network: str) -> str:
        """What a network is called: its name, of the folder of a bundle the last part.

        Args:
            network: as in ``networks``.
        """
        return Path(network).name if os.sep in network else network

    def folder(self, network: str) -> Path:
        """Folder of a network's cross-validation.

        Args:
            network: as in ``networks``.
        """
        return Path(os.path.abspath(self.output)) / self.title(network).replace(":", "-")

    def overrides_of(self, network: str) -> dict[str, Any]:
        """Values by id of a network's trainings.

        Args:
            network: as in ``networks``.
        """
        common = {name: value for name, value in self.overrides.items() if "." not in name}
        own = {
            name.rpartition(".")[2]: value
            for name, value in self.overrides.items()
            if name.rpartition(".")[0] == self.title(network)
        }
        tta = {"tta": True} if self.tta else {}
        return {"seed": self.seed, **common, **own, **tta}

    def crossval(self, network: str) -> CrossvalRequest:
        """The cross-validation of a network.

        Args:
            network: as in ``networks``.
        """
        return CrossvalRequest(
            data=self.data,
            output=self.folder(network),
            network=network,
            overlays=self.overlays,
            overrides=self.overrides_of(network),
            folds=self.folds,
            seed=self.seed,
            minutes=self.minutes,
            images=self.images,
            labels=self.labels,
            colours=self.colours,
            device=self.device,
            devices=self.devices,
        )
