# SPDX-License-Identifier: Apache-2.0
"""Runtimes and precisions that this machine has, against the published networks and ours in eager fp32.

Each is compared with eager fp32 before it is timed, as in every prediction; one that is refused, or whose package is
not there, gets a row with the reason. ``same_labels`` is the share of pixels with the label of eager fp32: of random
weights, and of the trained weights of the starter model on generated images of cells (``--trained``: of others).
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.contestants.networks import contiguous, image, network_of, published_form
from benchmark.frame.rows import Row
from benchmark.frame.turns import compared, take_turns
from sa2_monai.bundle import load_bundle
from sa2_monai.data import make_sample, read_image
from sa2_monai.inference.agreement import classes_of
from sa2_monai.inference.runtimes import EAGER, RUNTIMES, RuntimeRefusedError, prepare
from sa2_monai.networks.accelerate import accelerate
from sa2_monai.networks.catalogue import CATALOGUE

PRECISIONS = ("fp32", "bf16")
REFERENCE = "eager, fp32"
Function = Callable[[Tensor], Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the suite."""
    known = [name for name in RUNTIMES if name != EAGER]
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--network", nargs="*", choices=list(CATALOGUE), default=list(CATALOGUE), help="default: all")
    parser.add_argument("--runtime", nargs="+", choices=known, default=known, help="default: all")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS), help="default: both")
    parser.add_argument("--size", type=int, help="height and width of the image; default: the published one")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="batch sizes")
    parser.add_argument("--turns", type=int, default=7, help="counted turns, after one for warming up")
    parser.add_argument("--trained", default="nuclei", help="weights or bundle with trained weights; '': none")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Rows of all networks and batch sizes, then those of trained weights."""
    for name, batch in itertools.product(args.network, args.batch):
        x = image(name, batch, args.size, args.device)
        network = network_of(name, args.device).eval()
        published = published_form(name, contiguous(copy.deepcopy(network))).eval()
        yield from compare(f"{name} {x.shape[-2]} x {x.shape[-1]}, batch {batch}", published, network, x, args)
    if args.trained:
        network, x = trained(args)
        published = published_form(load_bundle(args.trained).name, contiguous(copy.deepcopy(network))).eval()
        yield from compare(f"trained: {args.trained}, {x.shape[-1]}, batch {len(x)}", published, network, x, args)


def compare(case: str, published: nn.Module, network: nn.Module, x: Tensor, args: argparse.Namespace) -> Iterator[Row]:
    """Rows of one network."""
    network = accelerate(network)
    functions: dict[str, Function] = {"published": published, REFERENCE: network}
    facts: dict[str, dict[str, Any]] = {}
    for runtime, precision in itertools.product((EAGER, *args.runtime), args.precision):
        title = f"{runtime}, {precision}"
        if title in functions:
            continue
        start = time.perf_counter()
        try:
            functions[title] = ready(network, runtime, precision, x)
            facts[title] = {"warm_up_s": time.perf_counter() - start if runtime != EAGER else None, "note": None}
        except (RuntimeRefusedError, ImportError) as error:
            facts[title] = {"warm_up_s": None, "note": str(error)}
    with torch.inference_mode():
        answers = {title: function(x).float() for title, function in functions.items()}
        if (difference := float((answers["published"] - answers[REFERENCE]).abs().max())) > 1e-3:
            raise SystemExit(f"{case}: ours differs from the published network by {difference}: nothing is timed")
        expected = classes_of(answers[REFERENCE])
        calls = {title: partial(_once, function, x) for title, function in functions.items()}
        seconds = take_turns(calls, args.turns, synchronise=torch.cuda.synchronize if x.is_cuda else lambda: None)
    measured, of_ours = compared(seconds), compared(seconds, REFERENCE)
    for title in (*functions, *(title for title in facts if title not in functions)):
        row: Row = {"case": case, "contestant": title}
        row |= measured.get(title, {"median_ms": None, "ratio": None, "spread": None})
        row["ratio_to_eager"] = of_ours[title]["ratio"] if title in of_ours else None
        same = float((classes_of(answers[title]) == expected).float().mean()) if title in answers else None
        yield {**row, "same_labels": same, **facts.get(title, {"warm_up_s": None, "note": None})}


def ready(network: nn.Module, runtime: str, precision: str, x: Tensor) -> Function:
    """A network in a runtime, with its line left out; eager bf16 is autocast."""
    if runtime == EAGER:
        return partial(_autocast, network)
    with contextlib.redirect_stdout(None):
        return prepare(network, runtime, precision, example_shape=x.shape)


def trained(args: argparse.Namespace) -> tuple[nn.Module, Tensor]:
    """Trained weights, and windows of generated images as the network sees them."""
    bundle = load_bundle(args.trained, device=args.device)
    rows, columns = bundle.settings["roi_size"]
    with tempfile.TemporaryDirectory() as folder:
        make_sample(folder, num_training=4, num_validation=0, num_test=0, size=(rows, columns))
        files = sorted((Path(folder) / "images").iterdir())
        images = [torch.tensor(read_image(file, channels=3)) for file in files]
    x = torch.stack([one.permute(2, 0, 1).float() / 255 for one in images])
    return bundle.network(), x.contiguous().to(args.device)


def _autocast(network: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        logits: Tensor = network(x)
    return logits.float()


def _once(function: Function, x: Tensor) -> None:
    function(x)
