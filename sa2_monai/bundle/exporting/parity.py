# SPDX-License-Identifier: Apache-2.0
"""Does an exported network give what the network gives?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from sa2_monai.inference.agreement import classes_of
from sa2_monai.inference.runtimes.prepare import LIMITS

__all__ = ["ParityReport", "check_parity"]

#: Largest difference of logits, in units of the largest logit where that is above 1. Half precision has three digits.
TOLERANCE = {"single": 1e-4, "half": 5e-2}
#: Share of pixels that must have the same class.
SHARE = {"single": 0.999, "half": 0.99}
#: The same where a runtime chooses its precision by itself: bfloat16 has two digits.
OWN_SHARE = LIMITS["auto"].equal


@dataclass(frozen=True)
class ParityReport:
    """Comparison of an exported network with the network in PyTorch, in single precision.

    Attributes:
        format: of the export.
        shapes: of the images that both were given.
        max_difference: largest difference of logits; ``None`` for exports that end in labels.
        tolerance: what it may be.
        equal_classes: share of pixels with the same class.
        share: what it must be at least.
        classes: number of different classes in the network's own answer: equal maps of nothing would prove nothing.
        by_itself: share of pixels with the same class in the precision that the runtime takes on this machine where
            nobody says one; ``None`` for runtimes that take that of the file.
    """

    format: str
    shapes: list[list[int]]
    max_difference: float | None
    tolerance: float
    equal_classes: float
    share: float
    classes: int
    by_itself: float | None = None

    @property
    def passed(self) -> bool:
        """Whether all numbers are within their limits."""
        close = self.max_difference is None or self.max_difference <= self.tolerance
        by_itself = self.by_itself is None or self.by_itself >= OWN_SHARE
        return close and self.equal_classes >= self.share and by_itself

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {**asdict(self), "passed": self.passed}

    def text(self) -> str:
        """Lines for people."""
        shapes = ", ".join("x".join(map(str, shape)) for shape in self.shapes)
        lines = [f"Parity with PyTorch ({self.format}, images {shapes}):"]
        if self.max_difference is not None:
            lines.append(f"  largest difference of logits: {self.max_difference:.2e} (allowed {self.tolerance:.2e})")
        note = "" if self.classes > 1 else "; the network finds one class only in the test images"
        lines.append(f"  pixels with the same class: {self.equal_classes:.4%} (at least {self.share:.1%}){note}")
        if self.by_itself is not None:
            lines.append(
                f"  the same in the precision that the runtime takes by itself on this machine: {self.by_itself:.4%} "
                f"(at least {OWN_SHARE:.1%})"
            )
        return "\n".join([*lines, f"  {'passed' if self.passed else 'NOT PASSED'}"])


def check_parity(
    network: nn.Module,
    exported: Callable[[torch.Tensor], torch.Tensor],
    images: Sequence[torch.Tensor],
    form: str,
    labels: bool = False,
    half: bool = False,
) -> ParityReport:
    """Run both on the same images.

    Args:
        network: the network in evaluation mode, single precision, logits.
        exported: the exported one; takes an image of its precision, returns logits or labels on the CPU.
        images: (N, C, H, W) each, ``float32``.
        form: name of the format, for the report.
        labels: the export ends in labels (N, 1, H, W).
        half: the export computes in half precision.
    """
    precision = "half" if half else "single"
    difference, largest, equal, pixels = 0.0, 1.0, 0, 0
    classes: set[int] = set()
    for image in images:
        with torch.no_grad():
            expected = network(image)
        found = exported(image.half() if half else image)
        wanted = classes_of(expected)
        if found.shape != (wanted if labels else expected).shape:
            raise ValueError(f"the exported network answers {list(found.shape)} to an image {list(image.shape)}")
        if labels:
            got = found.long()
        else:
            got = classes_of(found.float())
            difference = max(difference, _largest(found.float() - expected))
            largest = max(largest, _largest(expected))
        equal, pixels = equal + int((got == wanted).sum()), pixels + wanted.numel()
        classes |= set(wanted.unique().tolist())
    return ParityReport(
        format=form,
        shapes=[list(image.shape) for image in images],
        max_difference=None if labels else difference,
        tolerance=TOLERANCE[precision] * largest,
        equal_classes=equal / pixels,
        share=SHARE[precision],
        classes=len(classes),
    )


def _largest(values: torch.Tensor) -> float:
    """Largest absolute value; infinite where any is not a number, which no limit allows."""
    return float(values.abs().nan_to_num(nan=float("inf"), posinf=float("inf")).max())
