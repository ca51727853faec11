# SPDX-License-Identifier: Apache-2.0
"""What becomes of a network's answer: as when the weights were validated, unless somebody says otherwise."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sa2_monai.bundle.sidecar import read_settings
from sa2_monai.io.paths import existing_path

__all__ = ["as_validated"]


def as_validated(
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    default_overlap: float | None = None,
    **switches: Any,
) -> dict[str, Any]:
    """Switches that change a label map and not what the network sees: of those that are ``None``, the weights' own.

    The weights were selected with them, so another overlap or clean-up gives other results than those that are known.

    Args:
        weights: weight file, or those of an ensemble; the first one counts. It need not exist.
        default_overlap: of windows, for weights that do not say it; needed where ``overlap`` is asked for.
        switches: ``overlap``, ``largest_component``, ``fill_holes``, ``min_volume``, ``temperature``; ``None`` stands
            for the value in the sidecar of the weights, and, without one, for ``default_overlap``, no clean-up and no
            temperature. The networks of an ensemble have temperatures of their own, of which nothing is said here.

    Returns:
        All the switches.

    Raises:
        ValueError: for a damaged sidecar, or a value in it that no switch can have.

    Example::

        as_validated("models/model.pt", 0.5, overlap=None, min_volume=100.0)
    """
    from sa2_monai.weights import read_info, read_temperature
    from sa2_monai.weights.save import sidecar_of

    single = isinstance(weights, (str, os.PathLike))
    file = existing_path(weights if isinstance(weights, (str, os.PathLike)) else weights[0])
    told = {"overlap": default_overlap, **read_settings(read_info(file), sidecar_of(file))}
    told["temperature"] = read_temperature(file) if single else None
    # False: the weights were validated without.
    return {name: told.get(name) if value is None else value for name, value in switches.items()}
