# SPDX-License-Identifier: Apache-2.0
"""What the caller of a training asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sa2_monai.data.fingerprint import Fingerprint

__all__ = ["OF_THE_CALL", "OWN_IDS", "TrainRequest"]

#: Ids that a run sets itself.
OWN_IDS = ("bundle_root", "dataset_dir", "ckpt_dir", "output_dir", "resume", "progress")
#: Ids that belong to one call and not to the model: no configuration of the run keeps them.
OF_THE_CALL = ("time_limit", "device")


@dataclass(frozen=True)
class TrainRequest:
    """A training as the caller wants it; what is not given is planned.

    Attributes:
        data: folder of the data, a ``dataset.json`` or a table of pairs; ``None`` only with ``resume``.
        output: folder of the run; ``None`` for ``runs/<network>-<data>`` in the working directory.
        network: name or folder of a bundle; ``None`` lets the plan choose.
        overlays: names of overlays of the bundle, or files, which are merged after ``train.yaml`` and the plan.
        overrides: values by id, which come last: ``max_epochs``, ``fold``, ``pretrained``, ``optimizer#lr`` ...
        minutes: for this call; no further epoch begins that would not be through by then.
        resume: go on with the training that is in ``output``.
        images: glob of the images below ``data``, for layouts that are not known; with ``labels``.
        labels: glob of the labels.
        colours: table of the colours of colour masks.
        device: ``"cpu"``, ``"cuda:1"``; ``None`` for the GPU where there is one.
        tracking: ``"mlflow"``, or ``None``.
        plan: whether what is not given is planned; else it is as the bundle and its overlays say.
        fingerprint: of the data, if it was measured before.
    """

    data: str | os.PathLike[str] | None
    output: str | os.PathLike[str] | None = None
    network: str | None = None
    overlays: Sequence[str] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    minutes: float | None = None
    resume: bool = False
    images: str | None = None
    labels: str | None = None
    colours: str | os.PathLike[str] | None = None
    device: str | None = None
    tracking: str | None = None
    plan: bool = True
    fingerprint: Fingerprint | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: with one line that says what is wrong.
        """
        if own := [name for name in self.overrides if name in OWN_IDS]:
            raise ValueError(f"{own[0]} is set by the training itself; --output, --resume and DATA decide on it")
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"the time is {self.minutes:g} minutes, expected a number above 0")
        if (self.images is None) != (self.labels is None):
            raise ValueError("--images and --labels belong together: a pattern for the images, one for their masks")
        if self.colours is not None and not self.plan:
            raise ValueError("--colours goes into the plan; without one label_values says which colour means what")
        if self.resume and self.output is None:
            raise ValueError("--resume needs --output RUN, the folder of the training that goes on")
        if self.data is None and not self.resume:
            raise ValueError("give DATA, the folder of your images and masks")

    @property
    def call(self) -> dict[str, Any]:
        """Values of this call alone, by id."""
        found = {name: value for name, value in self.overrides.items() if name in OF_THE_CALL}
        if self.minutes is not None:
            seconds = 60 * self.minutes
            found["time_limit"] = int(seconds) if seconds == int(seconds) else seconds
        return found if self.device is None else {**found, "device": self.device}

    @property
    def given(self) -> dict[str, Any]:
        """Values that the caller has set for the model, by id."""
        return {name: value for name, value in self.overrides.items() if name not in OF_THE_CALL}
