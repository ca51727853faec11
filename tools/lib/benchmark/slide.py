# SPDX-License-Identifier: Apache-2.0
"""Memory and time of a whole slide: a generated pyramidal TIFF, predicted by ``sa2-monai predict`` in a fresh process.

Told are the peak of the resident memory of that process, which the operating system counts, the seconds, and the sizes
of the files. Without ``--bundle`` the network is a narrow SA2-Net without training, whose last layer is moved so that a
tenth of the pixels belongs to objects.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from numpy.random import RandomState

from benchmark.frame.rows import Row
from sa2_monai.data.samples.microscopy import paint
from sa2_monai.data.samples.slides import make_sample_slide
from sa2_monai.networks import create_network
from sa2_monai.weights import save_weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Slide, network and limit."""
    parser.add_argument("--size", type=int, default=20000, help="rows and columns of the slide")
    parser.add_argument("--full", action="store_true", help="tissue everywhere, in place of two islands")
    parser.add_argument("--bundle", help="a run or bundle; by default an untrained narrow network")
    parser.add_argument("--width", type=int, default=4, help="base_channels of the untrained network")
    parser.add_argument("--roi-size", type=int, default=256, help="window of the untrained network")
    parser.add_argument("--overlap", type=float, default=0.25, help="of its windows")
    parser.add_argument("--limit", type=float, help="GiB that the peak may have; more is an error")
    parser.add_argument("--folder", help="where the slide and the results lie for a while (default: the temporary one)")
    parser.add_argument("options", nargs="*", help="more options of 'sa2-monai predict', behind --")


def run(args: argparse.Namespace) -> list[Row]:
    """One row: peak, seconds, bytes of the slide and of what is written."""
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        slide = make_sample_slide(folder / "slide.tif", size=(args.size, args.size), full=args.full)
        bundle = ["--bundle", args.bundle] if args.bundle else ["--weights", str(untrained(folder, args))]
        command = [sys.executable, "-m", "sa2_monai", "predict", str(slide), *bundle, "--output", str(folder / "out")]
        start = time.monotonic()
        process = subprocess.Popen([*command, *args.options], cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("sa2-monai predict failed: see above")
        row = {
            "case": f"{args.size} x {args.size}, {'tissue everywhere' if args.full else 'two islands of tissue'}",
            "contestant": "sa2_monai",
            "peak_gib": round(usage.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20), 3),
            "time_s": round(time.monotonic() - start, 1),
            "slide_bytes": slide.stat().st_size,
            "written_bytes": sum(path.stat().st_size for path in (folder / "out" / "predictions").iterdir()),
        }
    if args.limit and row["peak_gib"] > args.limit:
        raise SystemExit(f"the peak is {row['peak_gib']:g} GiB, above {args.limit:g} GiB")
    return [row]


def untrained(folder: Path, args: argparse.Namespace) -> Path:
    """Weights of a narrow SA2-Net with both classes among its labels."""
    torch.manual_seed(0)
    network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=args.width).eval()
    image, _ = paint("he", (args.roi_size, args.roi_size), RandomState(0))
    with torch.no_grad():
        logits = network(torch.from_numpy(image / 255).float().permute(2, 0, 1)[None])
        network.head1.bias -= logits.quantile(0.9)
    info = {
        "network": "sa2net",
        "in_channels": 3,
        "out_channels": 1,
        "base_channels": args.width,
        "class_names": ["background", "nucleus"],
        "kind": "images",
        "channel_order": "RGB",
        "intensity": "percentiles",
        "view": "windows",
        "roi_size": [args.roi_size, args.roi_size],
        "overlap": args.overlap,
    }
    save_weights(network.state_dict(), folder / "model.pt", info)
    return folder / "model.pt"
