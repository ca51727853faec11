# SPDX-License-Identifier: Apache-2.0
"""The overlays of a report: of the worst, median and best cases."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sa2_monai.evaluation.report.overlays.draw import draw_overlay
from sa2_monai.evaluation.report.planes import Plane, case_plane
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.io.atomic import write_atomically

__all__ = ["Overlay", "case_scores", "choose_cases", "draw_overlays", "png_bytes", "write_overlays"]

_OWN_NAMES = re.compile(r"(worst|median|best)_\d+_.*\.png")


def case_scores(result: EvaluationResult) -> dict[str, float]:
    """Dice of every case, mean over its classes; from the counts where the protocol has no Dice per case."""
    values: dict[str, list[float]] = {}
    for row in result.per_case:
        dice, total = row["dice"], row["voxels_pred"] + row["voxels_ref"]
        if math.isnan(dice) and total:
            dice = 2 * row["voxels_both"] / total
        values.setdefault(row["case"], []).append(dice)
    return {case: float(np.mean([v for v in vs if not math.isnan(v)] or [math.nan])) for case, vs in values.items()}


def choose_cases(result: EvaluationResult, count: int = 3) -> list[tuple[str, int, str, float]]:
    """Choose the worst, median and best cases, none of them twice.

    Args:
        result: an evaluation.
        count: cases of each kind; fewer where there are not enough cases.

    Returns:
        Tuples ``(kind, rank from 1, case, Dice)``; cases without a Dice are left out.
    """
    ranked = sorted((dice, case) for case, dice in case_scores(result).items() if not math.isnan(dice))
    free = list(range(len(ranked)))
    chosen: list[tuple[str, int, str, float]] = []
    middle = (len(ranked) - 1) / 2
    orders = {
        "worst": lambda i: (i, i),
        "best": lambda i: (-i, i),
        "median": lambda i: (abs(i - middle), i),
    }
    picked: dict[str, list[int]] = {kind: [] for kind in orders}
    for _ in range(count):  # one of each kind in turn, so that few cases are shared out evenly
        for kind, order in orders.items():
            if free:
                best = min(free, key=order)
                free.remove(best)
                picked[kind].append(best)
    for kind in ("worst", "median", "best"):
        chosen += [(kind, rank, ranked[i][1], ranked[i][0]) for rank, i in enumerate(picked[kind], start=1)]
    return chosen


class Overlay(NamedTuple):
    """One image of a report: why it was chosen (worst, median, best), its rank from 1, and what it shows.

    Attributes:
        page: the drawing with its legend.
        plane: the maps and the image that were drawn.
    """

    kind: str
    rank: int
    case: str
    dice: float
    page: Image.Image
    plane: Plane


def draw_overlays(result: EvaluationResult, count: int = 3) -> list[Overlay]:
    """Draw the worst, median and best cases; of volumes the slice with most errors.

    Args:
        result: an evaluation; its ``images`` are drawn under the contours where there are any. An image that cannot be
            read is left out with a message in the log.
        count: images of each kind.

    Returns:
        The images, worst first.

    Raises:
        OSError: when a mask of a chosen case is gone.
        ValueError: when it cannot be read any more.
    """
    found = []
    names = {int(value): name for value, name in result.summary.get("classes", {}).items()}
    for kind, rank, case, dice in choose_cases(result, count):
        plane = case_plane(result, case)
        title = f"{case}, {plane.place}" if plane.place else case
        page = draw_overlay(plane.image, plane.prediction, plane.reference, title, dice, names)
        found.append(Overlay(kind, rank, case, dice, page, plane))
    return found


def png_bytes(page: Image.Image) -> bytes:
    """The image as the content of a PNG file."""
    stream = io.BytesIO()
    page.save(stream, format="PNG")
    return stream.getvalue()


def write_overlays(
    result: EvaluationResult, directory: str | Path, count: int = 3, drawn: Sequence[Overlay] | None = None
) -> list[Path]:
    """Write the overlay images of the worst, median and best cases.

    Images of an earlier run in the same folder are removed.

    Args:
        result: an evaluation; its ``images`` are drawn under the contours where there are any.
        directory: folder for ``worst_1_<case>_dice0.123.png`` and so on.
        count: images of each kind.
        drawn: what :func:`draw_overlays` returned, when that was done before.

    Returns:
        Paths of the images, worst first.

    Raises:
        OSError: when the folder cannot be written, or a mask of a chosen case is gone.
        ValueError: when a mask cannot be read any more.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for overlay in draw_overlays(result, count) if drawn is None else drawn:
        # a file name has room for 255 bytes, and a letter may take four of them
        safe = re.sub(r"[^\w.+-]+", "_", overlay.case).encode()[:150].decode(errors="ignore")
        name = f"{overlay.kind}_{overlay.rank}_{safe}_dice{overlay.dice:.3f}.png"
        paths.append(write_atomically(folder / name, png_bytes(overlay.page)))
    for old in folder.iterdir():
        if _OWN_NAMES.fullmatch(old.name) and old not in paths:
            old.unlink()
    return paths
