# SPDX-License-Identifier: Apache-2.0
"""Export the network of a bundle, with its weights, for other runtimes, and compare the file with the network.

The written file is loaded again and given the same images as the network in PyTorch. The exit code is 1 when logits
differ by more than 1e-4 (of the largest) or fewer than 99.9 % of the pixels have the same class; with --half 5e-2 and
99 %. With --int8 the test part of DATA is scored, and the file is written where Dice falls by less than half a point;
else the exit code is 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run"]

FORMATS = ("torchscript", "onnx", "openvino", "torch-export", "tensorrt")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai export``."""
    parser.epilog = "example: sa2-monai export --weights models/model.pt --to onnx --dynamic"
    parser.add_argument("--bundle", metavar="DIR", help="bundle: folder, zip file or name; by default the weights' own")
    parser.add_argument("--weights", metavar="FILE", help="trained weights; models/model.pt of the bundle by default")
    parser.add_argument("--to", required=True, choices=FORMATS, help="format")
    parser.add_argument("--output", "-o", metavar="FILE", help="the file (default: beside the weights)")
    parser.add_argument("--dataset", metavar="NAME", help="overlay of the bundle, for weights without model.json")
    parser.add_argument(
        "--half", action="store_true", help="half precision, input and output included (openvino: weights alone)"
    )
    parser.add_argument(
        "--int8",
        metavar="DATA",
        help="with --to openvino: whole numbers of 8 bits, calibrated on the training part of these data and scored on "
        "the test part",
    )
    parser.add_argument(
        "--dynamic", action="store_true", help="batch, height and width may change (TorchScript: always)"
    )
    parser.add_argument(
        "--labels", action="store_true", help="give labels instead of logits: argmax, or sigmoid >= 0.5"
    )
    parser.add_argument(
        "--size", nargs=2, type=int, metavar=("ROWS", "COLUMNS"), help="size instead of that of training"
    )
    parser.add_argument("--report", metavar="FILE", help="write the comparison as JSON")


def run(args: argparse.Namespace) -> int:
    """Export and compare.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0, or 1 when the exported network disagrees.

    Raises:
        UsageError: neither bundle nor weights.
        OSError: a missing file, or one that cannot be written.
        ValueError: weights or a size that do not fit.
        ImportError: a package that the format needs is missing.
        RuntimeError: no GPU for TensorRT, or the network cannot be converted.
    """
    if args.bundle is None and args.weights is None:
        raise UsageError("give --bundle, --weights, or both")
    if args.int8 and (args.to != "openvino" or args.half or args.dynamic or args.labels or args.size):
        raise UsageError("--int8 goes with --to openvino, and without --half, --dynamic, --labels and --size")

    from sa2_monai.bundle import export_network, find_bundle, open_bundle
    from sa2_monai.bundle.locate import bundle_of_weights
    from sa2_monai.io.atomic import write_json

    source = args.bundle or bundle_of_weights(args.weights)
    if args.output is None and args.weights is None and find_bundle(source).is_file():
        raise UsageError("--output is required for a zipped bundle")
    with open_bundle(source) as folder:
        if args.int8:
            return _export_int8(args, folder)
        size = None if args.size is None else (args.size[0], args.size[1])
        path, parity = export_network(
            folder,
            args.weights,
            args.to,
            args.output,
            dataset=args.dataset,
            half=args.half,
            dynamic=args.dynamic,
            labels=args.labels,
            size=size,
        )
    if args.report:
        write_json(args.report, {"file": str(path), **parity.as_dict()})
    files = [path, path.with_suffix(".bin")] if args.to == "openvino" else [path]
    print("\n".join([parity.text(), *(f"{file}: {file.stat().st_size:,} bytes" for file in files)]))
    return 0 if parity.passed else 1


def _export_int8(args: argparse.Namespace, folder: Path) -> int:
    """Export in whole numbers, and say what they cost."""
    from sa2_monai.bundle.exporting.int8 import MOST_LOST, export_int8
    from sa2_monai.io.atomic import write_json

    (path, parity), report = export_int8(folder, args.int8, args.weights, args.output, args.dataset)
    if args.report:
        write_json(args.report, {"file": str(path), "parity": parity.as_dict(), **report.as_dict()})
    print(f"{parity.text()}\n{report.text()}")
    if parity.passed and report.passed:
        print(f"{path}: written, with {path.with_suffix('.bin').name}")
        return 0
    print(f"{path}: not written, since Dice falls by {100 * MOST_LOST:g} points or more, or the graph is wrong already")
    return 1
