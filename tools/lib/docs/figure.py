# SPDX-License-Identifier: Apache-2.0
"""Draw docs/images/overview.webp: image, reference and prediction of the median test case of some evaluated runs.

Train and evaluate a run for each of the small public data sets below, then give their folders of scores:

    sa2-monai train DATA/bbbc038_nuclei --output runs/nuclei && sa2-monai evaluate --bundle runs/nuclei
    tools/docs figure runs/sample/eval runs/nuclei/eval runs/polyps/eval runs/vessels/eval
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from sa2_monai.evaluation.report.overlays.canvas import resized, shown_image
from sa2_monai.io.atomic import atomic_write

__all__ = ["Case", "drawn", "main", "median_case"]

OUTPUT = Path(__file__).resolve().parents[3] / "docs" / "images" / "overview.webp"
#: Folder of a data set: what it shows, and terms that permit to show it here.
TITLES = {
    "bbbc038_nuclei": "Nuclei (BBBC038)",
    "kvasir_polyps": "Polyps (HyperKvasir)",
    "sample": "Generated nuclei",
    "chase_db1": "Retinal vessels (CHASE_DB1)",
}
TILE, GAP, TOP, LEFT = 280, 8, 34, 34  # pixels
PAPER, INK = (255, 255, 255), (40, 40, 40)
MASK = (60, 235, 60)  # stands out from stains, mucosa and retina
OPACITY = 0.35  # of the fill inside of an outline
QUALITY = 80


class Case(NamedTuple):
    """A case of an evaluation: its data set, Dice, and the files."""

    dataset: str
    dice: float
    image: Path
    reference: Path
    prediction: Path


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the figure."""
    parser = argparse.ArgumentParser(
        prog="tools/docs figure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scores", nargs="+", type=Path, metavar="SCORES", help="folder with metrics_per_case.csv")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, metavar="FILE", help="default: docs/images/overview.webp"
    )
    args = parser.parse_args(argv)
    cases = [median_case(folder) for folder in args.scores]
    atomic_write(args.output, lambda file: drawn(cases).save(file, format="WEBP", quality=QUALITY, method=6))
    for case in cases:
        print(f"{TITLES.get(case.dataset, case.dataset)}: {case.image.name}, Dice {case.dice:.3f}")
    print(f"{args.output} ({args.output.stat().st_size / 1000:.0f} kB)")
    return 0


def median_case(scores: Path) -> Case:
    """The case in the middle by Dice; of an even number the lower one.

    Args:
        scores: folder that an evaluation of images wrote.

    Raises:
        FileNotFoundError: without ``metrics_per_case.csv``, or when a file that it names is gone.
    """
    with (scores / "metrics_per_case.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    middle = statistics.median_low(float(row["dice"]) for row in rows)
    row = next(row for row in rows if float(row["dice"]) == middle)
    reference = Path(row["reference_file"])
    data = reference.parents[1]
    listed = json.loads((data / "dataset.json").read_text(encoding="utf-8"))["test"]
    image = next(data / case["image"] for case in listed if data / case["label"] == reference)
    return Case(data.name, middle, image, reference, Path(row["prediction_file"]))


def drawn(cases: Sequence[Case]) -> Image.Image:
    """The figure: a column for each case; image, reference and prediction below each other."""
    width = LEFT + len(cases) * (TILE + GAP)
    page = Image.new("RGB", (width, TOP + 3 * (TILE + GAP)), PAPER)
    for column, case in enumerate(cases):
        left = LEFT + column * (TILE + GAP)
        image = shown_image(_square(np.asarray(Image.open(case.image))), (TILE, TILE))
        for row, file in enumerate((None, case.reference, case.prediction)):
            tile = image if file is None else _outlined(image, _square(np.asarray(Image.open(file))))
            page.paste(Image.fromarray(tile), (left, TOP + row * (TILE + GAP)))
        _write(page, TITLES.get(case.dataset, case.dataset), (left + TILE // 2, TOP // 2))
        _write(page, f"Dice {case.dice:.2f}", (left + TILE // 2, TOP + 3 * TILE), boxed=True)
    for row, title in enumerate(("image", "reference", "prediction")):
        strip = Image.new("RGB", (TILE, LEFT), PAPER)
        _write(strip, title, (TILE // 2, LEFT // 2))
        page.paste(strip.transpose(Image.Transpose.ROTATE_90), (0, TOP + row * (TILE + GAP)))
    return page


def _square(pixels: np.ndarray) -> np.ndarray:
    """The middle of an image, as wide as it is high."""
    rows, columns = pixels.shape[:2]
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    return pixels[top : top + side, left : left + side]


def _outlined(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with the foreground of a mask in colour."""
    inside = resized(labels, image.shape[:2]) > 0
    colour = np.array(MASK)
    tile = image.astype(np.float64)
    tile[inside] = (1 - OPACITY) * tile[inside] + OPACITY * colour
    tile[inside & ~ndimage.binary_erosion(inside, border_value=1)] = colour
    return tile.round().astype(np.uint8)


def _write(page: Image.Image, text: str, centre: tuple[int, int], boxed: bool = False) -> None:
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=18)
    if boxed:
        draw.rectangle(draw.textbbox(centre, f" {text} ", font=font, anchor="mm"), fill=PAPER)
    draw.text(centre, text, fill=INK, font=font, anchor="mm")


if __name__ == "__main__":
    raise SystemExit(main())
