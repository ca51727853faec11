# SPDX-License-Identifier: Apache-2.0
"""``--parity``: what a quicker setting changes, seen on one case that is also predicted as the reference has it."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.bundle.prediction.arrays import read_prediction
from sa2_monai.bundle.prediction.batch import Batch
from sa2_monai.bundle.prediction.shard import Shard

__all__ = ["REFERENCE", "Agreement", "agreement", "is_reference", "parity_of"]

#: The settings that all others are compared with; a configuration need not know all of them.
REFERENCE = {"precision": "fp32", "runtime": "eager"}
# What is written beside label maps, and not compared.
_BESIDE = ("save_probabilities", "uncertainty", "instances", "dicom_seg")


@dataclass(frozen=True)
class Agreement:
    """Two label maps of one case.

    Attributes:
        case: its name.
        equal: share of voxels (of 2D images: pixels) with the same class, 0 to 1.
        dice: by name of the class, background aside, Dice between both maps, 0 to 1; ``None`` where neither has it.
        setting: what the first map was made with, by name of the switch.
        reference: the same of the second.
    """

    case: str
    equal: float
    dice: dict[str, float | None]
    setting: dict[str, Any]
    reference: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def text(self) -> str:
        """The line for people."""
        dice = ", ".join(
            f"{name} {'in neither' if value is None else f'{value:.4f}'}" for name, value in self.dice.items()
        )
        setting, reference = (", ".join(map(str, one.values())) for one in (self.setting, self.reference))
        return f"parity of {setting} with {reference} on {self.case}: {self.equal:.2%} of voxels equal; Dice {dice}"


def agreement(
    found: np.ndarray, reference: np.ndarray, class_names: Sequence[str]
) -> tuple[float, dict[str, float | None]]:
    """Compare two label maps.

    Args:
        found: whole numbers, of any shape.
        reference: of the same shape.
        class_names: by class number, background first.

    Returns:
        Share of equal voxels, and Dice between both by name of the class, background aside; ``None`` where neither
        has the class.

    Raises:
        ValueError: maps of different shapes.
    """
    if found.shape != reference.shape:
        raise ValueError(f"the label maps have the shapes {found.shape} and {reference.shape}, expected equal ones.")
    dice: dict[str, float | None] = {}
    for number, name in enumerate(class_names[1:], start=1):
        one, other = found == number, reference == number
        size = int(one.sum()) + int(other.sum())
        dice[name] = 2 * int((one & other).sum()) / size if size else None
    return float((found == reference).mean()), dice


def is_reference(settings: Mapping[str, Any]) -> bool:
    """Whether settings say nothing but :data:`REFERENCE`.

    Args:
        settings: values by id.
    """
    return all(settings.get(name, value) == value for name, value in REFERENCE.items())


def parity_of(batch: Batch, shard: Shard, overrides: Mapping[str, Any], class_names: Sequence[str]) -> Agreement | None:
    """Predict the first finished case of a batch once more with :data:`REFERENCE`, and compare.

    Args:
        batch: has been run.
        shard: the part that this program has run.
        overrides: that it was run with.
        class_names: background first.

    Returns:
        The comparison; ``None`` where there is no such case. Whole slides are none.

    Raises:
        OSError, ValueError, RuntimeError: the case cannot be predicted.
    """
    cases = [case for case in batch.finished(shard) if batch.label_of(case["case"]).suffix != ".tif"]
    if not cases:
        return None
    case = cases[0]
    reference = {name: value for name, value in REFERENCE.items() if name in batch.settings}
    setting = {name: batch.settings[name] for name in reference}
    kept = {name: value for name, value in batch.settings.items() if name not in _BESIDE}
    with tempfile.TemporaryDirectory(prefix="sa2_monai_parity_") as folder:
        second = Batch(batch.config_file, batch.weights, {**kept, **reference}, [case], Path(folder), batch.suffix)
        with contextlib.redirect_stdout(io.StringIO()):  # its lines would look like those of the prediction
            failure = second.run(Shard(), overrides)
        if failure is not None:
            raise failure
        maps = [read_prediction(one.label_of(case["case"])) for one in (batch, second)]
    equal, dice = agreement(maps[0], maps[1], class_names)
    return Agreement(case["case"], equal, dice, setting, reference)
