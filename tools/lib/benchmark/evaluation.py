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
import sys
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmark.frame.rows import Row
from benchmark.frame.turns import compared, take_turns
from benchmark.generated.label_maps import ORGANS, label_maps
from sa2_monai import metrics

SPACING = (0.78, 0.78, 2.5)
Values = list[tuple[float, float]]
Contestant = Callable[[np.ndarray, np.ndarray, int], Values]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Label maps and contestants."""
    parser.add_argument("--contestants", nargs="+", choices=list(FUNCTIONS), help="default: those that are installed")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of the volume")
    parser.add_argument("--slices", type=int, default=120)
    parser.add_argument("--classes", type=int, default=len(ORGANS), help=f"organs, 1 to {len(ORGANS)}")
    parser.add_argument("--shift", type=int, default=0, help="voxels that the prediction is displaced by as a whole")
    parser.add_argument("--turns", type=int, default=3, help="counted turns, after one for warming up")
    parser.add_argument("--medpy-turns", type=int, default=1, help="turns of MedPy, without warming up")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> list[Row]:
    """A row for each contestant."""
    if not 1 <= args.classes <= len(ORGANS):
        raise SystemExit(f"--classes is {args.classes}, expected 1 to {len(ORGANS)}")
    if min(args.size, args.slices) < 8:
        raise SystemExit("expected at least 8 rows, columns and slices")
    functions = {name: FUNCTIONS[name] for name in chosen(args)}
    prediction, reference = label_maps((args.size, args.size, args.slices), args.classes, args.seed, args.shift)
    check_agreement(functions)
    return compare(functions, prediction, reference, args)


def chosen(args: argparse.Namespace) -> list[str]:
    """Names of the contestants; MedPy only where it is installed."""
    has_medpy = importlib.util.find_spec("medpy") is not None
    if args.contestants is None:
        if not has_medpy:
            print("MedPy is not installed and left out (pip install MedPy==0.5.2)", file=sys.stderr)
        return [name for name in FUNCTIONS if name != "medpy" or has_medpy]
    if "medpy" in args.contestants and not has_medpy:
        raise SystemExit("MedPy is not installed (pip install MedPy==0.5.2)")
    return list(args.contestants)


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
) -> list[Row]:
    """Rows of a volume; MedPy takes minutes, and has turns of its own with its twin."""
    groups = [({name: f for name, f in functions.items() if name != "medpy"}, args.turns, 1)]
    if "medpy" in functions:
        groups.insert(0, ({"medpy": medpy, "sa2_monai, paper": ours_paper}, args.medpy_turns, 0))
    rows = []
    for group, turns, warm in groups:
        found: dict[str, Values] = {}

        def call(name: str, function: Contestant, found: dict[str, Values] = found) -> None:
            found[name] = function(prediction, reference, args.classes)

        seconds = take_turns({name: partial(call, name, f) for name, f in group.items()}, turns, warm)
        for name, twin in (("monai", "sa2_monai"), ("medpy", "sa2_monai, paper")):
            if name in found and twin in found and not agree(name, found[name], found[twin]):
                raise SystemExit(f"{name} differs from {twin} on the large volume: the figures mean nothing")
        case = " x ".join(map(str, reference.shape)) + f", {args.classes} organs"
        base = next((name for name in group if name in ("medpy", "monai")), None)
        rows += [{"case": case, "contestant": n, **row, "turns": turns} for n, row in compared(seconds, base).items()]
    return rows
