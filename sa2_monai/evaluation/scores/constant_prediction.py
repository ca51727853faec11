# SPDX-License-Identifier: Apache-2.0
"""The score of a prediction that says the same for every pixel: what a model has to be better than.

A network that has learnt nothing often marks everything, or nothing. Where objects are large, marking everything has a
Dice that looks like a result (0.67 where the object fills half of each image).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["MARGIN", "constant_prediction_warnings", "everything_marked_dice"]

#: Of Dice, that a model is better by at least.
MARGIN = 0.01


def everything_marked_dice(reference: Sequence[int], total: Sequence[int]) -> float:
    """Mean Dice over cases of a prediction that gives one class to every pixel.

    Args:
        reference: pixels (or voxels) of the class in the reference of each case, 0 or more.
        total: all pixels of each case that count, above 0.

    Returns:
        Between 0 and 1, by the clinical rule: a case without the class is a false alarm and counts as 0. ``NaN``
        without any case.
    """
    found, size = np.asarray(reference, dtype=np.float64), np.asarray(total, dtype=np.float64)
    return float(np.mean(2 * found / (found + size))) if found.size else float("nan")


def constant_prediction_warnings(
    dice: Mapping[str, float | None], everything_marked: Mapping[str, float], predicted: Mapping[str, int] | None = None
) -> list[str]:
    """Say of every class whether its score is that of a prediction that looks at no image.

    Args:
        dice: class -> mean Dice over cases, ``None`` or ``NaN`` where it is undefined.
        everything_marked: class -> what :func:`everything_marked_dice` returned.
        predicted: class -> pixels that the prediction gives to it, all cases together, where that is known.

    Returns:
        One sentence for every class that was found nowhere, or whose Dice is less than 0.01 above that of marking
        everything; none for a class without a Dice, or whose Dice is 1.
    """
    warnings = []
    for name, value in dice.items():
        if value is None or np.isnan(value) or value == 1:
            continue
        constant = everything_marked.get(name, float("nan"))
        if predicted is not None and not predicted.get(name, 0):
            warnings.append(
                f"constant_prediction: the predictions mark no pixel as {name}, in no case: this is the score of "
                "'everything background'"
            )
        elif value < constant + MARGIN:
            warnings.append(
                f"constant_prediction: Dice {value:.3g} of {name} is not clearly better than that of marking every "
                f"pixel ('everything foreground': {constant:.3g})"
            )
    return warnings
