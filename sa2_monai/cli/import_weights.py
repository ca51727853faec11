# SPDX-License-Identifier: Apache-2.0
"""Convert a published checkpoint to weights for this package.

Reads checkpoints as their authors' code writes them: a bare state dict, or a dict with the tensors under 'state_dict'.
Every tensor must be known; those that the network carries but never uses are left out. Beside the weights a .json file
is written that says what they are: channels, how the network sees an image, and the SHA-256 of both files.

Example:
  sa2-monai import-weights --network daeformer published.pth daeformer/model.pt
"""

from __future__ import annotations

import argparse
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sa2_monai.cli.common import read_class_names
from sa2_monai.networks.catalogue import CATALOGUE

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai import-weights``."""
    parser.add_argument("published", metavar="PUBLISHED", help="the published checkpoint (.pth, .pt, .pth.tar)")
    parser.add_argument("output", metavar="OUT.pt", help="file for the converted weights")
    parser.add_argument("--network", required=True, choices=list(CATALOGUE), help="its network")
    parser.add_argument(
        "--classes", metavar="NAMES", help="names in the order of the values, background first, e.g. background,nucleus"
    )
    parser.add_argument(
        "--in-channels",
        type=int,
        metavar="N",
        help="channels of the images (default: as the tensors say); 1 for grey images where the network repeats "
        f"the channel and has the tensors of 3: {', '.join(n.name for n in CATALOGUE.values() if n.grey_as_colour)}",
    )
    parser.add_argument(
        "--roi-size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="size to which images were resized in training (default: 512 512 for svanet, 224 224 for the others)",
    )
    parser.add_argument(
        "--channel-order",
        choices=("RGB", "BGR"),
        help="order of colours in training (default as published: BGR for sa2net with 3 input and 1 output channel, "
        "that of MoNuSeg and GlaS; RGB for all others)",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT.pt when it is there")


def run(args: argparse.Namespace) -> int:
    """Convert, check by loading into the network, write, and report.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0. Failures are raised.

    Raises:
        OSError: a missing or unreadable checkpoint, or an output that is there already or cannot be written.
        ValueError: a checkpoint that is not entirely one of the network (the message lists every tensor), or options
            that do not fit it.
    """
    output = Path(args.output)
    if output.exists() and not args.force:
        raise FileExistsError(f"{output} exists already. Choose another name, or replace it with --force.")

    from sa2_monai.weights.published.importing import published_channel_order, read_published, save_published

    roi_size = _roi_size(args)
    checkpoint = read_published(args.network, args.published, args.in_channels, roi_size)
    channels = checkpoint.arguments["in_channels"], checkpoint.arguments["out_channels"]
    names = _class_names(args.classes, channels[1]) if args.classes else None
    order = args.channel_order or published_channel_order(args.network, *channels)
    record = save_published(checkpoint, output, roi_size, names, order)

    joined = "" if checkpoint.used == len(checkpoint.tensors) else f", put together to {len(checkpoint.tensors)}"
    options = ", ".join(f"{key} {value}" for key, value in checkpoint.arguments.items())
    height, width = roi_size
    print(f"{args.published}: {checkpoint.count} tensors of a published {args.network} checkpoint")
    print(f"  converted  {checkpoint.used} tensors{joined}, {record['parameters']:,} values")
    print(
        f"  left out   {len(checkpoint.skipped)} tensors, {checkpoint.skipped_values:,} values that the network never "
        "uses"
    )
    if checkpoint.skipped:
        print(_table(checkpoint.skipped, indent=" " * 13))
    print(f"  network    {options}; all tensors loaded into it")
    print(f"  seen as    whole image, resized to {height} x {width}; {order or 'grey'}")
    print(f"{output}: sha256 {record['sha256']}, {record['bytes']:,} bytes")
    return 0


def _table(names: Sequence[str], indent: str) -> str:
    """Parts of the network with the number of tensors in each."""
    counts = Counter(".".join(name.split(".")[:2]) for name in names)
    text = ", ".join(f"{part}\xa0{count}" for part, count in counts.items())  # no line ends between the two
    return textwrap.fill(text, 120, initial_indent=indent, subsequent_indent=indent).replace("\xa0", " ")


def _roi_size(args: argparse.Namespace) -> list[int]:
    """Height and width to which training resized the images."""
    facts = CATALOGUE[args.network]
    if args.roi_size is None:
        return list(facts.published_size)
    height, width = args.roi_size
    if height < 1 or width < 1 or height % facts.size_divisor or width % facts.size_divisor:
        raise ValueError(
            f"--roi-size is {height} x {width}, but {args.network} takes positive multiples of {facts.size_divisor}."
        )
    if args.network == "svanet" and height != width:
        raise ValueError(f"--roi-size is {height} x {width}, but svanet was published for square images alone.")
    return [height, width]


def _class_names(text: str, out_channels: int) -> list[str]:
    names = read_class_names(text)
    expected = 2 if out_channels == 1 else out_channels
    if len(names) != expected:
        raise ValueError(
            f"--classes names {len(names)} classes ({text}), but {out_channels} output channels stand for {expected}, "
            "background included."
        )
    return names
