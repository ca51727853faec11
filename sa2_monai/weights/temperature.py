# SPDX-License-Identifier: Apache-2.0
"""The temperature that stands beside weights which have been calibrated."""

from __future__ import annotations

import math
import os

from sa2_monai.weights.save import read_info, sidecar_of

__all__ = ["TEMPERATURE", "read_temperature"]

#: Its name in a sidecar.
TEMPERATURE = "temperature"


def read_temperature(weights: str | os.PathLike[str]) -> float | None:
    """What the logits of a network are divided by; ``None`` where its weights are not calibrated.

    Args:
        weights: the weight file. It need not exist.

    Raises:
        ValueError: a damaged sidecar, or one whose temperature is no number above 0.
    """
    value = read_info(weights).get(TEMPERATURE)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value > 0 and math.isfinite(value)):
        raise ValueError(
            f"{sidecar_of(weights)}: temperature is {value!r}, expected a number above 0. Remove it, or calibrate the "
            "weights again (sa2-monai calibrate)."
        )
    return float(value)
