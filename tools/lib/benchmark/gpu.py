# SPDX-License-Identifier: Apache-2.0
"""All that a GPU can tell, in ten minutes: correctness, speed, memory, training steps, a volume, copies.

Blocks come in the order of what is missed most when the time is over: correctness of all networks, batch 1 of all of
them, a volume, large batches, training steps. The JSON file and a Markdown table beside it are written after each of
them, so that a run that is killed has measured something. ``published`` is the order of operations of the published
code, with the same parameters. Ratios compare with its single precision; errors are those of the logits in units of
their spread, against single precision without TF32.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmark.accelerator import correctness, speed, training, volume
from benchmark.accelerator.limit import Late, Limit, stopped_at
from benchmark.accelerator.subject import Subject, figures, module_of
from benchmark.frame.facts import facts
from benchmark.frame.rows import Row, Skipped, table
from sa2_monai.io.atomic import write_atomically, write_json
from sa2_monai.networks.catalogue import CATALOGUE

Block = Callable[[Subject, argparse.Namespace, Limit], Iterator[Row]]
#: Name, rows, and the networks that it takes; ``None`` for all.
BLOCKS: dict[str, tuple[Block, tuple[str, ...] | None]] = {
    "correct": (correctness.rows, None),
    "single": (speed.single_images, None),
    "volume": (volume.rows, ("daeformer",)),
    "copies": (volume.copies, ("daeformer",)),
    "large": (speed.large_batches, None),
    "training": (training.rows, None),
}
#: Seconds that are left for the last rows and the files.
RESERVE = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Device, time and choice."""
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which it ends itself (600)")
    parser.add_argument("--blocks", nargs="+", choices=list(BLOCKS), default=list(BLOCKS), help="default: all")
    parser.add_argument("--network", nargs="+", choices=list(CATALOGUE), default=list(CATALOGUE), help="default: all")
    parser.add_argument("--turns", type=int, default=10, help="the contestants take turns; the median counts")
    parser.add_argument("--narrow", action="store_true", help="tiny networks and images: to try the suite itself")
    parser.set_defaults(output="benchmark-gpu.json")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Rows of all blocks, as far as the time suffices."""
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        raise Skipped("there is no usable CUDA device")
    limit, rows = Limit(args.limit - RESERVE), []
    device = torch.device(args.device)
    try:
        for name, block, network in planned(args):
            rows_of_block = attempt(name, block, Subject(network, device, args.narrow), args, limit)
            for row in rows_of_block:
                rows.append(row)
                yield row
            write(args, rows)
            gc.collect()
            module_of(device).empty_cache()
    except Late:
        row = figures("the time is over", f"{args.limit:g} s", note="what follows was not measured")
        rows.append(row)
        write(args, rows)
        yield row


def planned(args: argparse.Namespace) -> Iterator[tuple[str, Block, str]]:
    """Block by block, network by network."""
    for name in (one for one in BLOCKS if one in args.blocks):
        block, networks = BLOCKS[name]
        yield from ((name, block, one) for one in args.network if networks is None or one in networks)


def attempt(name: str, block: Block, subject: Subject, args: argparse.Namespace, limit: Limit) -> Iterator[Row]:
    """Rows of one block of one network; one that fails is a row that says so."""
    found: list[Row] = []
    late: Late | None = None
    with stopped_at(limit):
        try:
            found.extend(block(subject, args, limit))
        except Late as over:
            late = over
        except Exception as error:  # the other networks are worth measuring
            reason = f"failed: {type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"
            found.append(figures(f"{subject.name}: {name}", "", note=reason))
    yield from found
    if late is not None:
        raise late


def write(args: argparse.Namespace, rows: list[Row]) -> None:
    """Both files, as far as it has come."""
    settings = {name: getattr(args, name) for name in ("device", "limit", "blocks", "network", "turns", "narrow")}
    report: dict[str, Any] = {**facts(args.device), "settings": {"gpu": settings}, "rows": rows}
    write_json(args.output, report)
    heading = f"{report['machine']['device']}, torch {report['machine']['torch']}, commit {report['commit']}"
    write_atomically(Path(args.output).with_suffix(".md"), f"{heading}\n\n{table(rows)}")
