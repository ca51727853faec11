# SPDX-License-Identifier: Apache-2.0
"""Make a starter model of a run: weights in half precision in the package, scores and failures on its page of the docs.

    sa2-monai train DATA --network sa2net --output RUN base_channels=16 ...
    sa2-monai instances --bundle RUN
    tools/starter RUN nuclei

The run's data list names the test cases; the kind of an image is what stands in front of the first "_" of its name. The
scores are those of the file in the package, by its own command.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.data import read_image
from sa2_monai.evaluation import EvaluationResult, draw_overlay, evaluate
from sa2_monai.io.atomic import atomic_write, write_atomically
from sa2_monai.weights import read_checkpoint, read_info, save_weights, sha256_of
from sa2_monai.weights.save import OWN_KEYS
from sa2_monai.weights.starters import STARTERS

__all__ = ["half_precision", "main", "scores_table"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
BEGIN, END = "<!-- scores: made by tools/starter -->", "<!-- end of the scores -->"
#: What the names of the images begin with, in words.
KINDS = {"he": "stained tissue", "fluo": "fluorescence", "bf": "light background"}
TILE, WORST, COLUMNS = 400, 4, 2  # pixels; images in the figure of failures, and how many side by side


def main(argv: Sequence[str] | None = None) -> int:
    """Make the model, measure it, write its page."""
    parser = argparse.ArgumentParser(
        prog="tools/starter", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument("name", metavar="NAME", help="of the model, such as nuclei")
    args = parser.parse_args(argv)

    weights = half_precision(args.run / "models" / "model.pt", STARTERS / f"{args.name}.safetensors")
    listing = Path(json.loads((args.run / "eval" / "run.json").read_text())["configuration"]["dataset_dir"])
    cases = json.loads((listing / "dataset.json").read_text())["test"]
    with tempfile.TemporaryDirectory() as folder:
        results = measured(args.name, listing, cases, Path(folder))
        draw_failures(results["all"], DOCS / "images" / f"starter_{args.name}_failures.webp")
    page = DOCS / "starter.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    table = scores_table(results)
    write_atomically(page, f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}")
    print(f"{weights}: {weights.stat().st_size:,} bytes, sha256 {sha256_of(weights)}\n{table}")
    return 0


def half_precision(source: Path, target: Path) -> Path:
    """Write weights in half precision, with what stands beside them.

    The running statistics of normalisations stay in single precision: variances go beyond the range of half precision.

    Args:
        source: ``model.pt`` of a run.
        target: ``.safetensors``.

    Raises:
        ValueError: a value that half precision cannot hold.
    """
    tensors = {name: _half(name, tensor) for name, tensor in read_checkpoint(source).items()}
    lost = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if lost:
        raise ValueError(f"{source}: half precision cannot hold the values of {', '.join(lost[:4])}")
    target.parent.mkdir(exist_ok=True)
    save_weights(tensors, target, {k: v for k, v in read_info(source).items() if k not in OWN_KEYS})
    return target


def _half(name: str, tensor: torch.Tensor) -> torch.Tensor:
    keep = not tensor.is_floating_point() or name.endswith(("running_mean", "running_var"))
    return tensor if keep else tensor.half()


def measured(name: str, data: Path, cases: Sequence[Mapping[str, str]], folder: Path) -> dict[str, EvaluationResult]:
    """Scores of all test cases together and by kind of image."""
    bundle = load_bundle(name, device="cpu")
    files = [str(data / case["image"]) for case in cases]
    bundle.predict(files, output_dir=folder / "masks")
    bundle.predict(files, output_dir=folder / "objects", instances=True, instances_dir=str(folder / "instances"))
    stems = {Path(case["image"]).stem: case for case in cases}
    kinds = {"all": list(stems), **{kind: [stem for stem in stems if stem.startswith(f"{kind}_")] for kind in KINDS}}
    return {
        kind: evaluate(
            {stem: folder / "masks" / f"{stem}.png" for stem in chosen},
            {stem: data / stems[stem]["label"] for stem in chosen},
            bundle.class_names,
            images={stem: data / stems[stem]["image"] for stem in chosen},
            instances="auto",
            predicted_objects={stem: folder / "instances" / f"{stem}.png" for stem in chosen},
            reference_objects={stem: data / stems[stem]["instances"] for stem in chosen},
        )
        for kind, chosen in kinds.items()
        if chosen
    }


def scores_table(results: Mapping[str, EvaluationResult]) -> str:
    """Markdown table: mean over cases with its 95 % interval, by kind of image."""
    lines = ["| test images | number | Dice | AJI | PQ | F1 at IoU 0.5 |", "|---|---|---|---|---|---|"]
    for kind, result in results.items():
        summary = result.summary
        dice = summary["overall"]["dice"]
        objects = summary["instances"]["per_case"]
        values = [(dice["mean_of_class_means"], dice["ci95_low"], dice["ci95_high"])]
        for column in ("aji", "panoptic_quality", "detection_f1"):
            values.append((objects[column]["mean"], objects[column]["ci95_low"], objects[column]["ci95_high"]))
        words = " | ".join(_interval(*value) for value in values)
        lines.append(f"| {KINDS.get(kind, kind)} | {summary['cases']} | {words} |")
    return "\n".join(lines)


def _interval(mean: float, low: float | None, high: float | None) -> str:
    return f"{mean:.3f}" if low is None or high is None else f"{mean:.3f} ({low:.3f} to {high:.3f})"


def draw_failures(result: EvaluationResult, file: Path) -> None:
    """The cases with the lowest Dice in rows: contours of the reference and of the prediction."""
    worst = sorted(result.per_case, key=lambda row: row["dice"])[:WORST]
    sheet = Image.new("RGB", (TILE * COLUMNS, TILE * -(-len(worst) // COLUMNS)), "white")
    for place, row in enumerate(worst):
        sheet.paste(_tile(result, row), (TILE * (place % COLUMNS), TILE * (place // COLUMNS)))
    atomic_write(file, lambda stream: sheet.save(stream, format="WEBP", quality=50, method=6))


def _tile(result: EvaluationResult, row: Mapping[str, Any]) -> Image.Image:
    item, image = result.load_case(row["case"]), read_image(result.images[row["case"]])
    return draw_overlay(image, item.predicted, item.reference, row["case"], row["dice"]).resize((TILE, TILE))


if __name__ == "__main__":
    raise SystemExit(main())
