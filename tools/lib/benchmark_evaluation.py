# SPDX-License-Identifier: Apache-2.0
"""Benchmark of the evaluation: ours against MONAI and against MedPy as the published loop calls it, in one run.

The label maps are made here: organs of very different size, deformed, and a prediction with other deformations and a
few false islands. All contestants get the same arrays in memory and return Dice and HD95 of every organ. Before any is
timed, their numbers are compared, each with the definition that it has. The ratio is that of the medians of the
turns; MedPy takes minutes, so it has one turn unless told otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import zoom

from sa2_monai import metrics

# Centre and half axes as shares of the array, sizes as in an abdominal CT.
ORGANS = {
    "liver": ((0.33, 0.42, 0.62), (0.20, 0.17, 0.30)),
    "spleen": ((0.74, 0.55, 0.66), (0.07, 0.09, 0.16)),
    "stomach": ((0.60, 0.36, 0.58), (0.12, 0.09, 0.16)),
    "left kidney": ((0.66, 0.62, 0.40), (0.055, 0.06, 0.18)),
    "right kidney": ((0.35, 0.63, 0.38), (0.055, 0.06, 0.18)),
    "pancreas": ((0.51, 0.46, 0.45), (0.12, 0.035, 0.08)),
    "aorta": ((0.52, 0.58, 0.45), (0.022, 0.022, 0.42)),
    "gallbladder": ((0.37, 0.37, 0.42), (0.03, 0.03, 0.07)),
}
SPACING = (0.78, 0.78, 2.5)
Values = list[tuple[float, float]]
Contestant = Callable[[np.ndarray, np.ndarray, int], Values]


def main() -> int:
    args = parse_arguments()
    prediction, reference = label_maps((args.size, args.size, args.slices), args.classes, args.seed, args.shift)
    sizes = [int(np.count_nonzero(reference == value)) for value in range(1, args.classes + 1)]
    report: dict[str, Any] = {"machine": machine(), "shape": list(reference.shape), "voxels_per_class": sizes}
    print(json.dumps(report))
    functions = {name: FUNCTIONS[name] for name in args.contestants}
    check_agreement(functions)
    report["rows"] = compare(functions, prediction, reference, args)
    if args.output:
        Path(args.output).write_text(json.dumps(report, indent=2) + "\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tools/lib/benchmark_evaluation.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--contestants", nargs="+", choices=list(FUNCTIONS), help="default: those that are installed")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of the volume")
    parser.add_argument("--slices", type=int, default=120)
    parser.add_argument("--classes", type=int, default=len(ORGANS), help=f"organs, 1 to {len(ORGANS)}")
    parser.add_argument("--shift", type=int, default=0, help="voxels that the prediction is displaced by as a whole")
    parser.add_argument("--turns", type=int, default=3, help="counted turns, after one for warming up")
    parser.add_argument("--medpy-turns", type=int, default=1, help="turns of MedPy, without warming up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="JSON file for the figures")
    args = parser.parse_args()
    if not 1 <= args.classes <= len(ORGANS):
        parser.error(f"--classes is {args.classes}, expected 1 to {len(ORGANS)}")
    if min(args.size, args.slices) < 8:
        parser.error("expected at least 8 rows, columns and slices")
    has_medpy = importlib.util.find_spec("medpy") is not None
    if args.contestants is None:
        args.contestants = [name for name in FUNCTIONS if name != "medpy" or has_medpy]
        if not has_medpy:
            print("MedPy is not installed and left out (pip install MedPy==0.5.2)", file=sys.stderr)
    elif "medpy" in args.contestants and not has_medpy:
        parser.error("MedPy is not installed (pip install MedPy==0.5.2)")
    return args


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    models = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.is_file()
        else []
    )
    versions = {}
    for package in ("sa2_monai", "monai", "torch", "numpy", "scipy", "medpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {"device": models[0] if models else platform.processor() or platform.machine(), "versions": versions}


def smooth(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> np.ndarray:
    """Noise between a few random values."""
    low = rng.normal(size=[min(cells, n) + 1 for n in shape]).astype(np.float32)
    return zoom(low, [n / m for n, m in zip(shape, low.shape, strict=True)], order=1)


def label_maps(
    shape: tuple[int, int, int], classes: int = len(ORGANS), seed: int = 0, shift: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and reference, uint8 ``(x, y, z)``; the same for a seed."""
    rng = np.random.default_rng(seed)
    prediction, reference = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for value, (centre, half) in enumerate(list(ORGANS.values())[:classes], start=1):
        middle, axes = np.multiply(centre, shape), np.maximum(np.multiply(half, shape), 1)
        ends = zip(np.floor(middle - 1.6 * axes), np.ceil(middle + 1.6 * axes), shape, strict=True)
        box = tuple(slice(max(int(a), 0), min(int(b) + 1, n)) for a, b, n in ends)
        grid = np.ogrid[box]
        radius = np.sqrt(sum(((x - m) / a) ** 2 for x, m, a in zip(grid, middle, axes, strict=True)))
        size = tuple(s.stop - s.start for s in box)
        radius += 0.12 * smooth(rng, size, 4)
        reference[box][radius < 1] = value
        # one to two voxels of error at the border, whatever the size of the organ
        prediction[box][radius + smooth(rng, size, 8) / axes.min() < 1] = value
        island = tuple(slice(start, start + 2) for start in (rng.integers(0, n - 2) for n in shape))
        prediction[island] = value
    return np.roll(prediction, shift, axis=0), reference


def ours(prediction: np.ndarray, reference: np.ndarray, classes: int) -> Values:
    """Clinical Dice and HD95 in mm."""
    measured = metrics.measure_structures(prediction, reference, range(1, classes + 1), SPACING)
    return [(metrics.dice(x.counts), metrics.hd95(*x.distances)) for x in measured.values()]


def ours_paper(prediction: np.ndarray, reference: np.ndarray, classes: int) -> Values:
    """Dice and HD95 in voxels by the published definition."""
    measured = metrics.measure_structures(prediction, reference, range(1, classes + 1))
    return [(metrics.dice(x.counts), metrics.hd95_pooled(*x.distances)) for x in measured.values()]


def monai(prediction: np.ndarray, reference: np.ndarray, classes: int) -> Values:
    """MONAI's functions on one-hot tensors, as its metric classes call them."""
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance
    from monai.networks import one_hot

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        p, r = (
            one_hot(torch.from_numpy(m)[None, None], classes + 1, dtype=torch.uint8) for m in (prediction, reference)
        )
        dice = compute_dice(p, r, include_background=False)[0].tolist()
        hd95 = compute_hausdorff_distance(p, r, percentile=95, spacing=SPACING)[0].tolist()
    return list(zip(dice, hd95, strict=True))


def medpy(prediction: np.ndarray, reference: np.ndarray, classes: int) -> Values:
    """The published loop: class by class, on the whole volume, without spacing."""
    from medpy.metric import binary

    values = []
    for value in range(1, classes + 1):
        p, r = prediction == value, reference == value
        values.append((binary.dc(p, r), binary.hd95(p, r)))
    return values


FUNCTIONS: dict[str, Contestant] = {"sa2_monai": ours, "monai": monai, "medpy": medpy}


def check_agreement(functions: dict[str, Contestant]) -> None:
    """All contestants on a small volume; MedPy's definition is that of the paper protocol."""
    maps = label_maps((96, 96, 40), seed=1)
    for name, function in functions.items():
        expected = (ours_paper if name == "medpy" else ours)(*maps, len(ORGANS))
        if not agree(name, function(*maps, len(ORGANS)), expected):
            raise SystemExit(f"{name} differs from sa2_monai by its own definition: nothing is timed")


def agree(name: str, values: Values, expected: Values) -> bool:
    # MONAI computes in single precision, also the rank of the percentile, which is inexact for ten thousand points
    tolerance = 1e-4 if name == "monai" else 1e-9
    return np.allclose(values, expected, rtol=tolerance, atol=tolerance)


def compare(
    functions: dict[str, Contestant], prediction: np.ndarray, reference: np.ndarray, args: argparse.Namespace
) -> list[dict[str, Any]]:
    functions = {**functions}
    if "medpy" in functions and "sa2_monai" in functions:
        functions["sa2_monai, paper"] = ours_paper
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    found: dict[str, Values] = {}
    for turn in range(args.turns + 1):
        for name, function in functions.items():
            if name == "medpy" and turn >= args.medpy_turns:
                continue
            start = time.perf_counter()
            found[name] = function(prediction, reference, args.classes)
            if turn or name == "medpy":
                seconds[name].append(time.perf_counter() - start)
    for name, twin in (("monai", "sa2_monai"), ("medpy", "sa2_monai, paper")):
        if name in found and twin in found and not agree(name, found[name], found[twin]):
            raise SystemExit(f"{name} differs from {twin} on the large volume: the figures mean nothing")
    print(f"\n| contestant | median | times as long as sa2_monai |\n|{'---|' * 3}")
    rows = []
    for name, values in seconds.items():
        median = statistics.median(values) if values else float("nan")
        base = "sa2_monai, paper" if name == "medpy" else "sa2_monai"
        ratio = median / statistics.median(seconds[base]) if base in seconds else None
        rows.append({"contestant": name, "seconds": median, "ratio": ratio, "turns": len(values)})
        print(f"| {name} | {median:.3f} s | {'' if ratio is None else f'{ratio:.1f}'} |", flush=True)
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
