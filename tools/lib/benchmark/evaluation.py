# SPDX-License-Identifier: Apache-2.0
"""Dice and HD95 of all organs of a label map: ours against MONAI, MedPy as the published loop calls it, and DeepMind's.

The label maps are made here: organs of very different size, deformed, and a prediction with other deformations and a
few false islands; once as they are, once with isolated voxels everywhere. All contestants get the same arrays in
memory. Before any is timed, their numbers are compared, each with the definition that it has: that of MedPy is the
paper protocol's; surface-distance measures between corners of voxels and weighs by area, so that its HD95
differs by parts of a voxel, and by more with noise.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmark.frame.rows import Row
from benchmark.frame.turns import compared, take_turns
from benchmark.generated.label_maps import ORGANS, label_maps, noisy
from sa2_monai import metrics

SPACING = (0.78, 0.78, 2.5)
Values = list[tuple[float, float]]
Contestant = Callable[[np.ndarray, np.ndarray, int], Values]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Label maps and peers."""
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), help="default: those that are installed")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of the volume")
    parser.add_argument("--slices", type=int, default=120)
    parser.add_argument("--classes", type=int, default=len(ORGANS), help=f"organs, 1 to {len(ORGANS)}")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.001], help="shares of isolated voxels")
    parser.add_argument("--shift", type=int, default=0, help="voxels that the prediction is displaced by as a whole")
    parser.add_argument("--turns", type=int, default=1, help="each peer takes turns with ours, ours first once alone")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> Iterator[Row]:
    """A row for each peer and, with the same definition, for ours."""
    if not 1 <= args.classes <= len(ORGANS):
        raise SystemExit(f"--classes is {args.classes}, expected 1 to {len(ORGANS)}")
    if min(args.size, args.slices) < 8:
        raise SystemExit("expected at least 8 rows, columns and slices")
    peers = installed(args.peers)
    check_agreement({name: PEERS[name] for name in peers})
    prediction, reference = label_maps((args.size, args.size, args.slices), args.classes, args.seed, args.shift)
    for share in args.noise:
        case = " x ".join(map(str, reference.shape)) + f", {args.classes} organs, {share:.1%} of noise"
        maps = noisy(prediction, share, args.seed + 1), noisy(reference, share, args.seed + 2)
        metrics.measure_structures(*maps, range(1, args.classes + 1), SPACING)  # warm
        for name in peers:
            yield from compare(case, name, maps, share, args)


def compare(
    case: str, name: str, maps: tuple[np.ndarray, np.ndarray], share: float, args: argparse.Namespace
) -> Iterator[Row]:
    """A peer, and ours with its definition, in turns."""
    found: dict[str, Values] = {}

    def call(who: str, function: Contestant) -> None:
        found[who] = function(*maps, args.classes)

    twin = "sa2_monai, paper" if name == "medpy" else "sa2_monai"
    functions = {name: PEERS[name], twin: TWINS.get(name, ours)}
    seconds = take_turns({who: partial(call, who, f) for who, f in functions.items()}, args.turns, warm=0)
    # an isolated voxel has as much surface as several of an organ: percentiles by area are others with noise
    compares_hd95 = name != "surface-distance" or not share
    if not agree(name, found[name], found[twin], compares_hd95):
        raise SystemExit(f"{name} differs from {twin} on the large volume: the figures mean nothing")
    difference = float(np.nanmax(np.abs(np.subtract(found[name], found[twin])[:, 1])))
    for who, row in compared(seconds).items():
        contestant = who if who == name else f"{who} against {name}"
        yield {"case": case, "contestant": contestant, **row, "hd95_differs_by": difference if who == twin else None}


def installed(wanted: list[str] | None) -> list[str]:
    """Names of the peers; one that is asked for has to be there."""
    missing = {name: package for name, package in PACKAGES.items() if importlib.util.find_spec(package[0]) is None}
    for name, (_, package) in missing.items():
        if wanted and name in wanted:
            raise SystemExit(f"{name} is not installed (pip install {package})")
        if wanted is None:
            print(f"{name} is not installed and left out (pip install {package})", file=sys.stderr)
    return wanted or [name for name in PEERS if name not in missing]


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


def deepmind(prediction: np.ndarray, reference: np.ndarray, classes: int) -> Values:
    """The package surface-distance of DeepMind."""
    import surface_distance

    values = []
    for value in range(1, classes + 1):
        p, r = prediction == value, reference == value
        distances = surface_distance.compute_surface_distances(r, p, SPACING)
        dice = surface_distance.compute_dice_coefficient(r, p)
        values.append((dice, surface_distance.compute_robust_hausdorff(distances, 95)))
    return values


PEERS: dict[str, Contestant] = {"monai": monai, "medpy": medpy, "surface-distance": deepmind}
PACKAGES = {"medpy": ("medpy", "MedPy==0.5.2"), "surface-distance": ("surface_distance", "surface-distance==0.1")}
TWINS: dict[str, Contestant] = {"medpy": ours_paper}


def check_agreement(peers: dict[str, Contestant]) -> None:
    """All peers on a small volume."""
    maps = label_maps((96, 96, 40), seed=1)
    for name, function in peers.items():
        if not agree(name, function(*maps, len(ORGANS)), TWINS.get(name, ours)(*maps, len(ORGANS))):
            raise SystemExit(f"{name} differs from sa2_monai by its own definition: nothing is timed")


def agree(name: str, values: Values, expected: Values, compares_hd95: bool = True) -> bool:
    """Dice and HD95 are equal up to the precision of the peer; surface-distance has the diagonal of a voxel."""
    # MONAI computes in single precision, also the rank of the percentile, which is inexact for ten thousand points
    dice = hd95 = 1e-4 if name == "monai" else 1e-9
    if name == "surface-distance":
        hd95 = float(np.linalg.norm(SPACING))
    difference = np.abs(np.subtract(values, expected))
    allowed = np.array([dice, hd95]) * np.maximum(1, np.abs(expected) if hd95 < 1 else 1)
    return bool((difference <= allowed)[:, : 1 + compares_hd95].all())
