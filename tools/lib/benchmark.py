# SPDX-License-Identifier: Apache-2.0
"""Benchmark of the networks: ours against the published order of operations, on the same weights, in one run.

The contestants take turns (A B C, A B C, ...), so that a busy machine slows all of them; the ratio is the median of the
ratios within a turn. Before anything is timed, their outputs are compared. Peak memory is that of a fresh process, in
which glibc gives freed blocks back at once (MALLOC_MMAP_THRESHOLD_): else holes of its heap, which differ by a tenth
from run to run, would count.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sa2_monai.bundle.comparison.machine import machine_facts
from sa2_monai.bundle.comparison.machine import peak_memory as measure_peak
from sa2_monai.networks import create_network
from sa2_monai.networks.accelerate import accelerate
from sa2_monai.networks.catalogue import CATALOGUE

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the published order of operations

WORK = ("inference", "training")


def main() -> int:
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.memory_of:
        print(peak_memory(args.memory_of, args))
        return 0
    report: dict[str, Any] = {"machine": machine_facts(args.device), "rows": []}
    print(json.dumps(report["machine"]))
    print(f"\n| network | size | work | batch | contestant | median | published / this | peak memory |\n|{'---|' * 8}")
    for name, work, batch in itertools.product(args.network, args.work, args.batch):
        for row in compare(
            name, work, batch if work == "inference" else max(batch, CATALOGUE[name].smallest_batch), args
        ):
            report["rows"].append(row)
            memory = f"{row['peak_mb']:.0f} MB" if row["peak_mb"] is not None else ""
            print(
                f"| {name} | {row['size']} | {work} | {batch} | {row['contestant']} | {row['seconds'] * 1000:.0f} ms "
                f"| {row['ratio']:.2f} | {memory} |",
                flush=True,
            )
    if args.output:
        Path(args.output).write_text(json.dumps(report, indent=2) + "\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/benchmark", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, help="threads of torch; default: all cores")
    parser.add_argument("--network", nargs="+", choices=list(CATALOGUE), default=list(CATALOGUE), help="default: all")
    parser.add_argument("--size", type=int, help="height and width of the image; default: the published one")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="batch sizes")
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--turns", type=int, default=7, help="counted turns, after one for warming up")
    parser.add_argument("--more", action="store_true", help="bfloat16 autocast and torch.compile as well")
    parser.add_argument("--memory", action="store_true", help="measure peak memory in fresh processes as well")
    parser.add_argument("--output", help="JSON file for the figures")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no usable CUDA device")
    return args


class ChannelsLast(nn.Module):
    """A network whose kernels and images lie in channels_last memory."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> Any:
        """Outputs of the network."""
        return self.network(x.contiguous(memory_format=torch.channels_last))


def contestants(name: str, args: argparse.Namespace) -> dict[str, Callable[[torch.Tensor], Any]]:
    """Published and ours on the same parameters; the first one is what the others are compared with."""
    record = CATALOGUE[name]
    in_channels, out_channels = record.published_channels
    torch.manual_seed(0)
    network = create_network(name, in_channels=in_channels, out_channels=out_channels).to(args.device)
    for norm in network.modules():  # statistics as after training: ours and theirs have to treat them alike
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.uniform_(-0.1, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
    form = getattr(importlib.import_module(f"tests.reference.{name}"), f"Published{record.class_name}")
    # Ours keep the kernels in channels_last memory; the published networks do not, unless somebody asks for it.
    published = form(copy.deepcopy(network).to(memory_format=torch.contiguous_format))
    found: dict[str, Callable[[torch.Tensor], Any]] = {
        "published": published,
        "published, channels_last": ChannelsLast(form(copy.deepcopy(network))),
        "sa2_monai": network,
    }
    if args.device == "cpu":
        found["sa2_monai, accelerated"] = accelerate(copy.deepcopy(network))
    if args.device == "cuda":
        found["sa2_monai, channels_last"] = ChannelsLast(copy.deepcopy(network))
    if args.more:
        compiled = torch.compile(network)

        def bfloat16(x: torch.Tensor) -> Any:
            with torch.autocast(args.device, dtype=torch.bfloat16):
                return network(x)

        found["sa2_monai, bfloat16 autocast"] = bfloat16
        found["sa2_monai, torch.compile"] = compiled
    return found


def set_mode(functions: dict[str, Callable[[torch.Tensor], Any]], work: str) -> None:
    for function in functions.values():
        if isinstance(function, torch.nn.Module):
            function.train(work == "training")


def once(function: Callable[[torch.Tensor], Any], x: torch.Tensor, work: str) -> float:
    """Seconds of one call: a forward pass, or a forward and a backward pass."""
    synchronise(x)
    start = time.perf_counter()
    if work == "inference":
        with torch.inference_mode():
            function(x)
    else:
        outputs = function(x)
        sum(y.float().mean() for y in (outputs if isinstance(outputs, list) else [outputs])).backward()
    synchronise(x)
    return time.perf_counter() - start


def synchronise(x: torch.Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize()


def image(name: str, batch: int, args: argparse.Namespace) -> torch.Tensor:
    record = CATALOGUE[name]
    height, width = (args.size, args.size) if args.size else record.published_size
    return torch.rand(batch, record.published_channels[0], height, width, device=args.device)


def compare(name: str, work: str, batch: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    functions = contestants(name, args)
    set_mode(functions, work)
    x = image(name, batch, args)
    if work == "inference":
        check_agreement(functions, x)
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(args.turns + 1):
        for contestant, function in functions.items():
            value = once(function, x, work)
            if turn:
                seconds[contestant].append(value)
    rows = []
    for contestant, values in seconds.items():
        ratios = [a / b for a, b in zip(seconds["published"], values, strict=True)]
        rows.append(
            {
                "network": name,
                "size": x.shape[-1],
                "work": work,
                "batch": batch,
                "contestant": contestant,
                "seconds": statistics.median(values),
                "ratio": statistics.median(ratios),
                "peak_mb": memory_in_fresh_process(name, contestant, work, batch, args) if args.memory else None,
            }
        )
    return rows


def check_agreement(functions: dict[str, Callable[[torch.Tensor], Any]], x: torch.Tensor) -> None:
    with torch.inference_mode():
        expected = functions["published"](x)
        for name, function in functions.items():
            difference = function(x).float() - expected
            if "bfloat16" in name:  # 8 bits: of the logits' spread, which differs between networks
                wrong, limit = float(difference.square().mean().sqrt() / expected.std()), 0.05
            else:
                wrong, limit = float(difference.abs().max()), 1e-3 if x.is_cuda else 1e-4
            if wrong > limit:
                raise SystemExit(f"{name} differs from the published network by {wrong}: nothing is timed")


def memory_in_fresh_process(name: str, contestant: str, work: str, batch: int, args: argparse.Namespace) -> float:
    words = ["--memory-of", contestant, "--network", name, "--work", work, "--batch", str(batch)]
    words += ["--device", args.device, "--threads", str(torch.get_num_threads())]
    words += [*(["--size", str(args.size)] if args.size else []), *(["--more"] if args.more else [])]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run(
        [sys.executable, __file__, *words], check=True, capture_output=True, text=True, env=environment
    )
    return float(done.stdout.split()[-1])


def peak_memory(contestant: str, args: argparse.Namespace) -> float:
    """Megabytes that the work needs at most, above what the process held before it."""
    functions = contestants(args.network[0], args)
    set_mode(functions, args.work[0])
    x = image(args.network[0], args.batch[0], args)
    peak = measure_peak(lambda: once(functions[contestant], x, args.work[0]), args.device)
    if peak is None:
        raise SystemExit("this system does not tell the peak memory of a process")
    return peak


if __name__ == "__main__":
    raise SystemExit(main())
