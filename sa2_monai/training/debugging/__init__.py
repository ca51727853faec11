# SPDX-License-Identifier: Apache-2.0
"""What the overlay ``debug`` adds to a training: can it learn one case by heart, and where does its time go."""

from __future__ import annotations

import os

from ignite.engine import Engine

from sa2_monai.training.debugging.overfit import OverfitCheck
from sa2_monai.training.debugging.profiler_trace import ProfilerTrace

__all__ = ["debug"]


def debug(trainer: Engine, evaluator: Engine, output_dir: str | os.PathLike[str], at_least: float = 0.8) -> None:
    """Attach a trace of the profiler and the check that the only case is learned; a step in front of the training.

    Args:
        trainer: of the training.
        evaluator: validates the case that is trained.
        output_dir: folder for the trace.
        at_least: see :class:`~sa2_monai.training.debugging.overfit.OverfitCheck`.
    """
    ProfilerTrace(output_dir).attach(trainer)
    OverfitCheck(evaluator, at_least).attach(trainer)
