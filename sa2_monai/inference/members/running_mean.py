# SPDX-License-Identifier: Apache-2.0
"""Mean and variance of probabilities that come one after the other."""

from __future__ import annotations

import torch

__all__ = ["RunningMean"]


class RunningMean:
    """Mean of the members of a prediction, and how far they lie apart, in memory that does not grow with their number.

    The mean moves towards each member by its share (Welford, Technometrics 4, 1962), so that equal members leave it as
    it is, to the last bit, and their spread is 0.

    Args:
        mean: the mean of ``count`` members (N, K, H, W), which is changed in place; ``None`` when there is none yet.
        spread: the sum over the classes of their squared distances from it (N, 1, H, W), as well; ``None`` leaves it
            out.
        count: number of members that are in the mean.

    Attributes:
        mean: of the members up to now.
        spread: sum over members and classes of the squared distances from the mean, where it is kept.
        count: number of members.
    """

    def __init__(self, mean: torch.Tensor, spread: torch.Tensor | None = None, count: int = 0) -> None:
        self.mean = mean
        self.spread = spread
        self.count = count

    @classmethod
    def of(cls, first: torch.Tensor, with_spread: bool) -> RunningMean:
        """Begin with the first member, whose memory is taken over.

        Args:
            first: probabilities (N, K, H, W).
            with_spread: whether the spread is kept.
        """
        return cls(first, torch.zeros_like(first[:, :1]) if with_spread else None, count=1)

    def add(self, values: torch.Tensor) -> None:
        """Add one more member.

        Args:
            values: probabilities (N, K, H, W).
        """
        self.count += 1
        delta = values - self.mean
        self.mean += delta / self.count
        if self.spread is not None:
            self.spread += (delta * (values - self.mean)).sum(dim=1, keepdim=True)

    @property
    def variance(self) -> torch.Tensor | None:
        """Variance (N, 1, H, W) over the members, summed over the classes; ``None`` where the spread is not kept."""
        return None if self.spread is None else self.spread / self.count
