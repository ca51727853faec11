# SPDX-License-Identifier: Apache-2.0
"""Overlays: prediction and reference drawn into the image, class by class."""

from sa2_monai.evaluation.report.overlays.choose import (
    Overlay,
    case_scores,
    choose_cases,
    draw_overlays,
    png_bytes,
    write_overlays,
)
from sa2_monai.evaluation.report.overlays.draw import BOTH_COLOUR, draw_overlay, draw_prediction

__all__ = [
    "BOTH_COLOUR",
    "Overlay",
    "case_scores",
    "choose_cases",
    "draw_overlay",
    "draw_overlays",
    "draw_prediction",
    "png_bytes",
    "write_overlays",
]
