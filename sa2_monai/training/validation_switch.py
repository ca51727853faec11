# SPDX-License-Identifier: Apache-2.0
"""Whether a training without a validation makes sense."""

from __future__ import annotations

__all__ = ["check_validation"]


def check_validation(validation: str, schedule: str | None = None) -> None:
    """Check the switch ``validation`` against the schedule of the learning rate.

    Args:
        validation: ``"auto"`` or ``"none"``, see :func:`sa2_monai.data.load_datalist`.
        schedule: name of the schedule, where the bundle has several.

    Raises:
        ValueError: for a schedule that waits for validations which never come.
    """
    if validation == "none" and schedule == "plateau":
        raise ValueError(
            "schedule is 'plateau', which halves the learning rate when the validation Dice has stalled, but "
            "validation is 'none'. Choose another schedule, or validation: auto."
        )
