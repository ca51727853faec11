# SPDX-License-Identifier: Apache-2.0
"""Benchmark of SA2-Net: ours against the published order of operations, on the same weights, in one run.

The contestants take turns (A B C, A B C, ...), so that a busy machine slows all of them; the ratio is the median of the
ratios within a turn. Before anything is timed, their outputs are compared. Peak memory is that of a fresh process.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from published_sa2net import PublishedSA2Net

from sa2_monai.networks import SA2Net

WORK = ("inference", "training")


def main() -> int:
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.memory_of:
        print(peak_memory(args.memory_of, args))
        return 0
    report: dict[str, Any] = {"machine": machine(args), "rows": []}
    print(json.dumps(report["machine"]))
    print(f"\n| work | batch | contestant | median | published / this | peak memory |\n|{'---|' * 6}")
    for work in args.work:
        for batch in args.batch:
            for row in compare(work, batch, args):
                report["rows"].append(row)
                memory = f"{row['peak_mb']:.0f} MB" if row["peak_mb"] else ""
                print(
                    f"| {work} | {batch} | {row['contestant']} | {row['seconds'] * 1000:.0f} ms | {row['ratio']:.2f} "
                    f"| {memory} |",
                    flush=True,
                )
    if args.output:
        Path(args.output).write_text(json.dumps(report, indent=2) + "\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/benchmark", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, help="threads of torch; default: all cores")
    parser.add_argument("--size", type=int, default=224, help="height and width of the image")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="batch sizes")
    parser.add_argument("--base-channels", type=int, default=64)
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


def machine(args: argparse.Namespace) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if args.device == "cuda" else platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if args.device == "cpu" and info.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "size": args.size,
        "base_channels": args.base_channels,
    }


def contestants(args: argparse.Namespace) -> dict[str, Callable[[torch.Tensor], Any]]:
    """Published and ours on the same parameters; the first one is what the others are compared with."""
    torch.manual_seed(0)
    network = SA2Net(base_channels=args.base_channels).to(args.device)
    published = PublishedSA2Net(network)
    found: dict[str, Callable[[torch.Tensor], Any]] = {
        "published": published,
        "published, channels_last": lambda x: published(x.contiguous(memory_format=torch.channels_last)),
        "sa2_monai": network,
    }
    if args.device == "cuda":
        found["sa2_monai, channels_last"] = lambda x: network(x.contiguous(memory_format=torch.channels_last))
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
        sum(y.float().mean() for y in function(x)).backward()
    synchronise(x)
    return time.perf_counter() - start


def synchronise(x: torch.Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize()


def compare(work: str, batch: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    functions = contestants(args)
    set_mode(functions, work)
    x = torch.rand(batch, 3, args.size, args.size, device=args.device)
    if work == "inference":
        check_agreement(functions, x)
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(args.turns + 1):
        for name, function in functions.items():
            value = once(function, x, work)
            if turn:
                seconds[name].append(value)
    rows = []
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(seconds["published"], values, strict=True)]
        rows.append(
            {
                "work": work,
                "batch": batch,
                "contestant": name,
                "seconds": statistics.median(values),
                "ratio": statistics.median(ratios),
                "peak_mb": memory_in_fresh_process(name, work, batch, args) if args.memory else None,
            }
        )
    return rows


def check_agreement(functions: dict[str, Callable[[torch.Tensor], Any]], x: torch.Tensor) -> None:
    with torch.inference_mode():
        expected = functions["published"](x)
        for name, function in functions.items():
            difference = float((function(x).float() - expected).abs().max())
            if difference > (0.05 if "bfloat16" in name else 1e-3 if x.is_cuda else 1e-4):
                raise SystemExit(f"{name} differs from the published network by {difference}: nothing is timed")


def memory_in_fresh_process(name: str, work: str, batch: int, args: argparse.Namespace) -> float:
    words = ["--memory-of", name, "--work", work, "--batch", str(batch), "--device", args.device]
    words += ["--size", str(args.size), "--base-channels", str(args.base_channels)]
    words += ["--threads", str(torch.get_num_threads()), *(["--more"] if args.more else [])]
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def peak_memory(name: str, args: argparse.Namespace) -> float:
    """Megabytes that the work needs at most, above what the process had before it."""
    functions = contestants(args)
    set_mode(functions, args.work[0])
    x = torch.rand(args.batch[0], 3, args.size, args.size, device=args.device)
    if x.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        once(functions[name], x, args.work[0])
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    once(functions[name], x, args.work[0])
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


if __name__ == "__main__":
    raise SystemExit(main())
