# SPDX-License-Identifier: Apache-2.0
"""How long a training is: epochs, their length, validations, patience."""

from __future__ import annotations

import math

from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.plan import Choice

__all__ = ["PUBLISHED_STEPS", "max_epochs", "patience", "slices_per_epoch", "val_interval"]

#: Steps of the published trainings: epochs x images / batch size of MoNuSeg (2000 x 30 / 4), Synapse (400 x 2211 / 24;
#: MSA2-Net 700 x 2211 / 20) and ISIC 2018 (100 x 2594 / 4).
PUBLISHED_STEPS = {"sa2net": 15_000, "daeformer": 36_850, "hsaunet": 36_850, "msa2net": 77_385, "svanet": 64_850}
_PART = 0.85  # of the time that goes into steps and validations; the rest: reading, the start, other programs
_FEWEST_EPOCHS = 16
_VALIDATIONS = (4, 16)
_VALIDATION_PART = 0.15  # of what goes into both
_NEAR = 1.25  # factor within which a number of validations is as good as another


def slices_per_epoch(draft: Draft, seconds: float) -> Choice:
    """Samples of an epoch, where all slices would be too many.

    Args:
        draft: the plan so far.
        seconds: that one step takes; not used on a GPU without a time budget.
    """
    slices, batch = draft.fingerprint.counts.slices, draft["batch_size"]
    steps = _steps(draft, seconds)
    if steps / math.ceil(slices / batch) >= _FEWEST_EPOCHS / 2:
        return Choice(None, f"all {slices}")
    number = batch * max(1, round(steps / _FEWEST_EPOCHS))
    return Choice(number, f"of {slices}, others in each epoch: {_FEWEST_EPOCHS} epochs fit into {steps} steps")


def max_epochs(draft: Draft, seconds: float) -> Choice:
    """Epochs that fit into the time, or the steps of the published training; the last one is validated.

    Args:
        draft: the plan so far.
        seconds: that one step takes.
    """
    length = _epoch_steps(draft)
    fitting = max(1, _steps(draft, seconds) // length)
    wanted = _validations(draft, fitting * length)
    # Of the numbers just below, the first that can be divided into about as many validations as wanted.
    near = range(fitting, math.ceil(0.9 * fitting) - 1, -1)
    epochs = next((one for one in near if _apart(one, _divisor(one, wanted), wanted) <= _NEAR), fitting)
    if draft.minutes is None:
        return Choice(epochs, f"{_usual_steps(draft)} steps as published{draft.of_host}, {length} in an epoch")
    assumed = "" if draft.budget is not None else " assumed"
    cost = _validation_steps(draft)
    return Choice(
        epochs,
        f"{draft.minutes_text}{assumed} x {_PART} / {seconds:.2g} s a step, measured, are "
        f"{_budget(draft, seconds)} steps: {length} in an epoch, {cost:.2g} for a validation",
    )


def val_interval(draft: Draft) -> Choice:
    """Epochs between validations."""
    epochs = draft["max_epochs"]
    wanted = _validations(draft, epochs * _epoch_steps(draft))
    interval = _divisor(epochs, wanted)
    if _apart(epochs, interval, wanted) > 2:  # a number of epochs that has no such divisor
        interval = max(1, int(epochs / wanted))
    return Choice(interval, f"{epochs // interval} validations, each as long as {_validation_steps(draft):.2g} steps")


def patience(draft: Draft) -> Choice:
    """Epochs without a better validation Dice."""
    return Choice(draft["max_epochs"], "all: the schedule ends low, and the last epochs are often the best")


def _validations(draft: Draft, steps: float) -> float:
    """How many validations are worth their time: a sixth of the steps', of costly ones up to four for a third of it."""
    affordable = steps / _validation_steps(draft)
    fewest, most = _VALIDATIONS
    return min(max(_VALIDATION_PART * affordable, min(fewest, affordable / 3), 1.0), most)


def _divisor(epochs: int, wanted: float) -> int:
    """The divisor of ``epochs`` that makes about as many parts as wanted."""
    return min((one for one in range(1, epochs + 1) if epochs % one == 0), key=lambda one: _apart(epochs, one, wanted))


def _apart(epochs: int, interval: int, wanted: float) -> float:
    """Factor between the number of validations and the one that is wanted, at least 1."""
    number = epochs / interval
    return max(number / wanted, wanted / number)


def _budget(draft: Draft, seconds: float) -> int:
    """Steps that fit into the time, those that validations take included."""
    assert draft.minutes is not None
    return max(1, int(60 * draft.minutes * _PART / seconds))


def _usual_steps(draft: Draft) -> int:
    return PUBLISHED_STEPS[draft.network.bundle]


def _steps(draft: Draft, seconds: float) -> int:
    """Steps of the training."""
    if draft.minutes is None:
        return _usual_steps(draft)
    budget = _budget(draft, seconds)
    return max(1, int(max(budget - _validations(draft, budget) * _validation_steps(draft), budget / 2)))


def _epoch_steps(draft: Draft) -> int:
    slices = draft["slices_per_epoch"] or draft.fingerprint.counts.slices
    return math.ceil(slices / draft["batch_size"])


def _validation_steps(draft: Draft) -> float:
    """Steps that take as long as one validation: a third for the same pixels, as there is no way back."""
    counts, geometry = draft.fingerprint.counts, draft.fingerprint.geometry
    window = math.prod(draft["roi_size"])
    pixels = window
    if draft["view"] == "windows":
        pixel = 1.0
        if draft["pixdim"] is not None:
            pixel = draft["pixdim"] / (geometry.spacing[0] if geometry.spacing else 1.0)
        tiles = [
            max(1, math.ceil((size / pixel - side * draft["overlap"]) / (side * (1 - draft["overlap"]))))
            for size, side in zip(geometry.size, draft["roi_size"], strict=True)
        ]
        pixels = window * math.prod(tiles)
    return max(1e-3, counts.validation * geometry.depth * pixels / (3 * window * draft["batch_size"]))
