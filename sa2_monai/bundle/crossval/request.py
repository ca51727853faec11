# SPDX-License-Identifier: Apache-2.0
"""What the caller of a cross-validation asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sa2_monai.bundle.launch.devices import check_devices
from sa2_monai.bundle.run.request import TrainRequest

if TYPE_CHECKING:
    from sa2_monai.data.fingerprint import Fingerprint

__all__ = ["CrossvalRequest"]

#: Ids that a cross-validation sets itself, beside those that each training does.
_OWN_IDS = ("fold", "num_folds", "split_seed", "fold_checkpoints")


@dataclass(frozen=True)
class CrossvalRequest:
    """A cross-validation as the caller wants it; what is not given is planned, once for all folds.

    Attributes:
        data: folder of the data, a ``dataset.json`` or a table of pairs.
        output: folder of the cross-validation.
        network: name or folder of a bundle; ``None`` lets the plan choose, or a cross-validation that goes on.
        overlays: names of overlays of the bundle, or files, which are merged after ``train.yaml`` and the plan. With
            one that says the ``layout`` of the data nothing is planned.
        overrides: values by id, which come last.
        folds: number of folds, at least 2.
        seed: of the folds.
        paper: whether training and scores are those of the published protocol.
        minutes: for the training of each fold.
        images: glob of the images below ``data``; with ``labels``.
        labels: glob of the labels.
        colours: table of the colours of colour masks.
        device: ``"cpu"``, ``"cuda:1"``; ``None`` for the GPU where there is one.
        tracking: ``"mlflow"``, or ``None``.
        devices: where jobs run side by side, one on each: ``["cuda:0", "cuda:1"]``; ``None``: one job at a time.
        fingerprint: of the data, if it was measured before.
    """

    data: str | os.PathLike[str]
    output: str | os.PathLike[str]
    network: str | None = None
    overlays: Sequence[str] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    folds: int = 5
    seed: int = 999
    paper: bool = False
    minutes: float | None = None
    images: str | None = None
    labels: str | None = None
    colours: str | os.PathLike[str] | None = None
    device: str | None = None
    tracking: str | None = None
    devices: Sequence[str] | None = None
    fingerprint: Fingerprint | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: with one line that says what is wrong.
        """
        if self.folds < 2:
            raise ValueError(f"--folds is {self.folds}, expected at least 2")
        if own := [name for name in self.overrides if name in _OWN_IDS]:
            raise ValueError(f"{own[0]} is set by the command itself; see --help for its options")
        if self.devices is not None:
            check_devices(self.devices)
            if self.device is not None:
                raise ValueError("give --device or --devices, not both")
        self.training(self.network, self.overlays, self.overrides, plan=True)

    def training(
        self,
        network: str | None,
        overlays: Sequence[str | os.PathLike[str]],
        overrides: Mapping[str, Any],
        *,
        plan: bool,
    ) -> TrainRequest:
        """The training of the first fold.

        Args:
            network: name or folder of the bundle; ``None`` lets the plan choose.
            overlays: of the training.
            overrides: values by id that a training knows.
            plan: whether what is not given is planned.
        """
        return TrainRequest(
            data=self.data,
            output=os.path.join(self.output, "fold0"),
            network=network,
            overlays=[os.fspath(overlay) for overlay in overlays],
            overrides={**overrides, "fold": 0, "num_folds": self.folds, "split_seed": self.seed},
            minutes=self.minutes,
            images=self.images,
            labels=self.labels,
            colours=self.colours,
            device=self.device,
            tracking=self.tracking,
            plan=plan,
            fingerprint=self.fingerprint,
        )
