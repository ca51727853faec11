# SPDX-License-Identifier: Apache-2.0
"""Evaluation of segmentations: two protocols, statistics, reports, overlays.

* ``evaluator``: :func:`evaluate`, the way in; ``options``, ``paper_options``: all that can be chosen.
* ``clinical``: the default protocol. Cases on their own grid, distances in millimetres, the larger of the two directed
  HD95, missing structures counted.
* ``paper``: the numbers as the networks' publications compute them. Its docstring says which family belongs to which
  network and data set, and where the published HD95 is.
* ``comparison``: two models on the same cases. ``result``: what an evaluation returns.
* ``case_metric``: the clinical values inside a MONAI engine.
* ``cases``: found, paired, read, checked. ``scores``: from maps to rows and summaries. ``strata``: by what makes a case
  hard. ``report``: what is written.

What needs torch and MONAI (:class:`CaseMetric`, :class:`ReportHandler`, :class:`ValidationImage`) is
imported when it is asked for.
"""

from typing import TYPE_CHECKING

from sa2_monai.aliases import lazy_names, moved_names
from sa2_monai.evaluation.comparison import compare
from sa2_monai.evaluation.evaluator import evaluate
from sa2_monai.evaluation.options import EvaluationOptions
from sa2_monai.evaluation.paper import PaperOptions, summarize_folds
from sa2_monai.evaluation.paper.run import FAMILIES
from sa2_monai.evaluation.report.files import write_report
from sa2_monai.evaluation.report.overlays import draw_overlay, draw_prediction, write_overlays
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.rows import COLUMNS

if TYPE_CHECKING:
    from sa2_monai.evaluation.case_metric import CaseMetric
    from sa2_monai.evaluation.report.handler import ReportHandler
    from sa2_monai.evaluation.report.validation_image import ValidationImage

__all__ = [
    "COLUMNS",
    "FAMILIES",
    "CaseMetric",
    "EvaluationOptions",
    "EvaluationResult",
    "PaperOptions",
    "ReportHandler",
    "ValidationImage",
    "compare",
    "draw_overlay",
    "draw_prediction",
    "evaluate",
    "summarize_folds",
    "write_overlays",
    "write_report",
]


__getattr__ = lazy_names(
    __name__,
    {
        "CaseMetric": f"{__name__}.case_metric",
        "ReportHandler": f"{__name__}.report.handler",
        "ValidationImage": f"{__name__}.report.validation_image",
    },
    moved_names(__name__, {"ValidationPicture": f"{__name__}:ValidationImage"}),
)
