# SPDX-License-Identifier: Apache-2.0
"""The learning rate of DAE-Former, HSA-UNet and MSA2-Net, step by step."""

from __future__ import annotations

__all__ = ["LatePolynomial"]


class LatePolynomial:
    """Factor of the learning rate for ``torch.optim.lr_scheduler.LambdaLR``, stepped once per iteration.

    ``(1 - k / n) ** power``, where ``k`` counts the steps that are done. As in the published code the rate is set
    behind a step from the count before it, so it comes one step late and the first two steps have the highest one.

    Args:
        steps: ``n``, steps of the whole training, at least 1.
        power: exponent; published: 0.9.

    Raises:
        ValueError: for arguments out of range.

    Example::

        optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, LatePolynomial(steps=400 * 93))
    """

    def __init__(self, steps: int, power: float = 0.9) -> None:
        if steps < 1:
            raise ValueError(f"LatePolynomial: steps must be at least 1, got {steps}.")
        if power <= 0:
            raise ValueError(f"LatePolynomial: power must be above 0, got {power}.")
        # Plain attributes: LambdaLR keeps them in its state, so that a resumed training sees a changed schedule.
        self.steps = steps
        self.power = power

    def __call__(self, step: int) -> float:
        """Factor for the step with this index, from 0."""
        done = min(max(step - 1, 0), self.steps)
        return float((1 - done / self.steps) ** self.power)
