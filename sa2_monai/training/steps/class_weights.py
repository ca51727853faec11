# SPDX-License-Identifier: Apache-2.0
"""Weights of the classes in a loss: those of the user, or by how rare they are in the training labels."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["class_weights"]

logger = logging.getLogger(__name__)


def class_weights(
    wanted: Sequence[float] | str | None,
    num_classes: int,
    load_datalist: Callable[..., Sequence[Mapping[str, Any]]] | None = None,
    steps: Sequence[Callable[[Any], Any]] = (),
    device: torch.device | str = "cpu",
) -> torch.Tensor | None:
    """Weights for a loss, whose mean is 1; ``None`` where none are wanted.

    ``"auto"`` weighs a class whose share of the labelled pixels is p by ``1 / ln(1.02 + p)``: from 1.4 for all pixels
    to 50 for next to none (Paszke et al., ENet, https://arxiv.org/abs/1606.02147). A class without any pixel counts as
    the rarest of the others.

    Args:
        wanted: one number of at least 0 for each class, background first; ``"auto"``; or ``None``.
        num_classes: number of classes.
        load_datalist: function that lists the cases of a ``section``; ``"auto"`` reads the labels of the training ones.
        steps: transforms from the file of a label to class numbers; what is no class number counts nowhere.
        device: where the loss computes.

    Returns:
        ``(num_classes,)``, float32.

    Raises:
        ValueError: another number of weights, negative ones, or nothing but zeros; no labelled pixel at all.
    """
    if wanted is None:
        return None
    if wanted == "auto":
        values = _by_shares(_shares(load_datalist, steps, num_classes))
    else:
        values = [float(value) for value in wanted]  # type: ignore[arg-type]
    if len(values) != num_classes or min(values) < 0 or sum(values) == 0:
        raise ValueError(
            f"class_weights is {list(values)}, expected {num_classes} numbers of at least 0, one for each class and "
            "background first, not all of them 0."
        )
    weights = [value * num_classes / sum(values) for value in values]
    if wanted == "auto":
        logger.info("weights of the classes, by the training labels: %s.", ", ".join(f"{one:.3g}" for one in weights))
    return torch.tensor(weights, dtype=torch.float32, device=device)


def _shares(load_datalist: Any, steps: Sequence[Callable[[Any], Any]], num_classes: int) -> list[float]:
    counts = torch.zeros(num_classes, dtype=torch.float64)
    for case in load_datalist(section="training", check=False):
        sample: Any = dict(case)
        for step in steps:
            sample = step(sample)
        values, numbers = np.unique(np.asarray(sample["label"]), return_counts=True)
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            if value in range(num_classes):
                counts[int(value)] += number
    if counts.sum() == 0:
        raise ValueError("class_weights is 'auto', but the training labels have no pixel of any class.")
    return (counts / counts.sum()).tolist()


def _by_shares(shares: Sequence[float]) -> list[float]:
    rarest = min(share for share in shares if share > 0)
    return [1 / math.log(1.02 + (share or rarest)) for share in shares]
