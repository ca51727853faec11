# SPDX-License-Identifier: Apache-2.0
"""The paper protocol: the numbers printed with the published networks, one file per family."""

from sa2_monai.evaluation.paper.base import PaperOptions
from sa2_monai.evaluation.paper.folds import summarize_folds
from sa2_monai.evaluation.paper.run import FAMILIES, evaluate_paper

__all__ = ["FAMILIES", "PaperOptions", "evaluate_paper", "summarize_folds"]
