# SPDX-License-Identifier: Apache-2.0
"""Pictures of the worst, median and best cases with both contours.

Reference yellow, prediction blue, white where both run together: yellow and blue stay apart for people who confuse red
and green, and the dark rim keeps them visible on stained tissue and on black.
"""

from __future__ import annotations

import io
import logging
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

from sa2_monai.evaluation.planes import plane_of
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.names import file_name

__all__ = [
    "REFERENCE_COLOUR",
    "Overlay",
    "choose_cases",
    "draw_overlay",
    "draw_overlays",
    "draw_prediction",
    "png_bytes",
    "write_overlays",
]

REFERENCE_COLOUR = (240, 228, 66)
PREDICTION_COLOUR = (0, 200, 255)
BOTH_COLOUR = (255, 255, 255)
_RIM_COLOUR = (0, 0, 0)
_SMALL, _LARGE = 512, 1024  # pixels of the longer side that a picture is enlarged or reduced to
_STRIP = 26
_OWN_NAMES = re.compile(r"(worst|median|best)_\d+_.*\.png")
_log = logging.getLogger(__name__)


def _to_rgb(image: np.ndarray) -> np.ndarray:
    """Bring a picture of any type to uint8 RGB; 16-bit and dark pictures are stretched between their percentiles."""
    pixels = np.asarray(image)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] not in (1, 3):
        pixels = pixels[:, :, :3] if pixels.shape[2] > 3 else pixels[:, :, :1]
    values = pixels.astype(np.float64)
    full = 255.0 if pixels.dtype == np.uint8 else float(np.nanmax(values, initial=1.0))
    low, high = np.nanpercentile(values, [0.5, 99.5])
    if pixels.dtype == np.uint8 and high - low >= 0.4 * full:
        low, high = 0.0, full
    scaled = np.clip((np.nan_to_num(values) - low) / max(high - low, 1e-12), 0, 1) * 255
    return np.repeat(scaled, 3 // scaled.shape[2], axis=2).round().astype(np.uint8)


def _contour(labels: np.ndarray) -> np.ndarray:
    """Foreground pixels that touch another class, background included; the border of the picture is no contour."""
    padded = np.pad(labels, 1, mode="edge")
    core = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return (core != 0) & np.logical_or.reduce([n != core for n in neighbours])


def _display_size(height: int, width: int) -> tuple[int, int]:
    longer = max(height, width)
    if longer < _SMALL:
        factor = float(math.ceil(_SMALL / longer))
    else:
        factor = min(1.0, _LARGE / longer)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _resized(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest neighbour at half-pixel centres."""
    rows, columns = (((np.arange(m) + 0.5) * n / m).astype(np.int64) for n, m in zip(labels.shape, size, strict=True))
    return labels[np.ix_(rows, columns)]


def _font() -> Any:
    try:
        return ImageFont.load_default(size=14)
    except (TypeError, OSError):  # Pillow before 10.1, or without FreeType
        return ImageFont.load_default()


def _strip(width: int, case: str, end: str, colours: Sequence[tuple[tuple[int, int, int], str]]) -> Image.Image:
    """The legend under the picture: colours, case name, score."""
    strip = Image.new("RGB", (width, _STRIP), (24, 24, 24))
    draw, font = ImageDraw.Draw(strip), _font()
    x = 6
    for colour, text in colours:
        draw.rectangle((x, 8, x + 10, 18), fill=colour)
        draw.text((x + 15, 5), text, fill=(230, 230, 230), font=font)
        x += 15 + int(draw.textlength(text, font=font)) + 12
    title, name = f"{case}   {end}".rstrip(), case
    while draw.textlength(title, font=font) > width - x - 6 and len(name) > 1:
        name = name[:-1]
        title = f"{name}...   {end}".rstrip()
    draw.text((width - 6 - draw.textlength(title, font=font), 5), title, fill=(255, 255, 255), font=font)
    return strip


def draw_overlay(
    image: np.ndarray | None, prediction: np.ndarray | None, reference: np.ndarray, case: str, dice: float
) -> Image.Image:
    """Draw both contours into a picture, with a legend strip below.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, any integer or float type; of another size than the masks it is resized;
            ``None`` draws on dark grey.
        prediction: class values ``(H, W)``, or ``None`` for a missing prediction.
        reference: class values ``(H, W)``.
        case: name for the legend.
        dice: number for the legend; ``NaN`` is written as undefined.

    Returns:
        RGB picture; small masks are enlarged by a whole factor, large ones reduced to 1024 pixels.

    Raises:
        ValueError: when the masks are not two-dimensional or have different shapes.
    """
    guess = np.zeros_like(reference) if prediction is None else prediction
    if reference.ndim != 2 or guess.shape != reference.shape:
        raise ValueError(
            f"case {case}: masks have shapes {guess.shape} and {reference.shape}, expected one shape (H, W)"
        )
    size = _display_size(*reference.shape)
    near = np.ones((3, 3), dtype=bool)
    line_r, line_p = _contour(_resized(reference, size)), _contour(_resized(guess, size))
    both = (line_r & binary_dilation(line_p, near)) | (line_p & binary_dilation(line_r, near))
    lines = [(line_r & ~both, REFERENCE_COLOUR), (line_p & ~both, PREDICTION_COLOUR), (both, BOTH_COLOUR)]
    end = "Dice undefined" if math.isnan(dice) else f"Dice {dice:.3f}"
    colours = [(REFERENCE_COLOUR, "reference"), (PREDICTION_COLOUR, "prediction"), (BOTH_COLOUR, "both")]
    return _page(image, reference.shape, lines, case, end, colours)


def draw_prediction(image: np.ndarray, prediction: np.ndarray, case: str) -> Image.Image:
    """Draw the contour of a prediction that has no reference, like :func:`draw_overlay`.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        prediction: class values ``(H, W)``.
        case: name for the legend.

    Returns:
        RGB picture.

    Raises:
        ValueError: when the prediction is not two-dimensional.
    """
    if prediction.ndim != 2:
        raise ValueError(f"case {case}: the mask has shape {prediction.shape}, expected (H, W)")
    line = _contour(_resized(prediction, _display_size(*prediction.shape)))
    lines = [(line, PREDICTION_COLOUR)]
    return _page(image, prediction.shape, lines, case, "", [(PREDICTION_COLOUR, "prediction")])


def _page(
    image: np.ndarray | None,
    shape: tuple[int, ...],
    lines: Sequence[tuple[np.ndarray, tuple[int, int, int]]],
    case: str,
    end: str,
    colours: Sequence[tuple[tuple[int, int, int], str]],
) -> Image.Image:
    """The picture at display size, the lines with a dark rim on it, and the legend below."""
    size = _display_size(shape[0], shape[1])
    if image is None:
        canvas = np.full((*size, 3), 64, dtype=np.uint8)
    else:
        mode = Image.Resampling.NEAREST if shape[0] < size[0] else Image.Resampling.BILINEAR
        canvas = np.asarray(Image.fromarray(_to_rgb(image)).resize((size[1], size[0]), mode)).copy()
    drawn = np.logical_or.reduce([line for line, _ in lines])
    canvas[binary_dilation(drawn, np.ones((3, 3), dtype=bool))] = _RIM_COLOUR
    for line, colour in lines:
        canvas[binary_dilation(line, np.ones((2, 2), dtype=bool))] = colour
    width = max(size[1], 480)
    page = Image.new("RGB", (width, size[0] + _STRIP), (24, 24, 24))
    page.paste(Image.fromarray(canvas), ((width - size[1]) // 2, 0))
    page.paste(_strip(width, case, end, colours), (0, size[0]))
    return page


def _scores(result: EvaluationResult) -> dict[str, float]:
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
    ranked = sorted((dice, case) for case, dice in _scores(result).items() if not math.isnan(dice))
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
    """One picture of a report: why it was chosen (worst, median, best), its rank from 1, and what it shows."""

    kind: str
    rank: int
    case: str
    dice: float
    page: Image.Image


def draw_overlays(result: EvaluationResult, count: int = 3) -> list[Overlay]:
    """Draw the worst, median and best cases; of volumes the slice with most errors.

    Args:
        result: an evaluation; its ``images`` are drawn under the contours where there are any. An image that cannot be
            read is left out with a message in the log.
        count: pictures of each kind.

    Returns:
        The pictures, worst first.

    Raises:
        OSError: when a mask of a chosen case is gone.
        ValueError: when it cannot be read any more.
    """
    found = []
    for kind, rank, case, dice in choose_cases(result, count):
        item = result.load_case(case)
        try:
            plane = plane_of(item, result.images.get(case))
        except (OSError, ValueError, RuntimeError) as error:
            _log.warning("overlay of case %s without its image: %s", case, error)
            plane = plane_of(item, None)
        title = f"{case}, {plane.place}" if plane.place else case
        found.append(
            Overlay(kind, rank, case, dice, draw_overlay(plane.image, plane.prediction, plane.reference, title, dice))
        )
    return found


def png_bytes(page: Image.Image) -> bytes:
    """The picture as the content of a PNG file."""
    stream = io.BytesIO()
    page.save(stream, format="PNG")
    return stream.getvalue()


def write_overlays(
    result: EvaluationResult, directory: str | Path, count: int = 3, drawn: Sequence[Overlay] | None = None
) -> list[Path]:
    """Write the overlay pictures of the worst, median and best cases.

    Pictures of an earlier run in the same folder are removed.

    Args:
        result: an evaluation; its ``images`` are drawn under the contours where there are any.
        directory: folder for ``worst_1_<case>_dice0.123.png`` and so on.
        count: pictures of each kind.
        drawn: what :func:`draw_overlays` returned, when that was done before.

    Returns:
        Paths of the pictures, worst first.

    Raises:
        OSError: when the folder cannot be written, or a mask of a chosen case is gone.
        ValueError: when a mask cannot be read any more.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for overlay in draw_overlays(result, count) if drawn is None else drawn:
        safe = re.sub(r"[^\w.+-]+", "_", overlay.case)[:100]
        name = file_name(f"{overlay.kind}_{overlay.rank}_{safe}", f"_dice{overlay.dice:.3f}.png")
        paths.append(write_atomically(folder / name, png_bytes(overlay.page)))
    for old in folder.iterdir():
        if _OWN_NAMES.fullmatch(old.name) and old not in paths:
            old.unlink()
    return paths
