# SPDX-License-Identifier: Apache-2.0
"""Convert a published checkpoint to weights for this package.

Reads checkpoints as their authors' code writes them: a bare state dict, or a dict with the tensors under 'state_dict'.
Every tensor must be known; those that the network carries but never uses are left out. Beside the weights a .json file
is written that says what they are: channels, how the network sees a picture, and the SHA-256 of both files.

Example:
  sa2-monai import-weights --network sa2net best_model_state_dict.pt models/model.pt
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sa2_monai.cli.info import NETWORKS

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai import-weights``."""
    parser.add_argument("published", metavar="PUBLISHED", help="the published checkpoint (.pth, .pt, .pth.tar)")
    parser.add_argument("output", metavar="OUT.pt", help="file for the converted weights")
    parser.add_argument("--network", required=True, choices=[network.name for network in NETWORKS], help="its network")
    parser.add_argument(
        "--classes", metavar="NAMES", help="names in the order of the values, background first, e.g. background,nucleus"
    )
    parser.add_argument(
        "--roi-size",
        type=int,
        nargs=2,
        default=[224, 224],
        metavar=("H", "W"),
        help="size to which pictures were resized in training (default: 224 224)",
    )
    parser.add_argument(
        "--channel-order",
        choices=("RGB", "BGR"),
        help="order of colours in training (default: BGR for 3 input and 1 output channel, as published for MoNuSeg "
        "and GlaS; else that of the bundle)",
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
        ValueError: a checkpoint that is not entirely one of the network; the message lists every tensor.
    """
    output = Path(args.output)
    if output.exists() and not args.force:
        raise FileExistsError(f"{output} exists already. Choose another name, or replace it with --force.")

    from sa2_monai.networks import create_network
    from sa2_monai.weights import (
        check_state_dict,
        convert_published,
        describe_published,
        read_checkpoint,
        save_weights,
        sha256_of,
        skipped_names,
    )

    tensors = read_checkpoint(args.published)
    try:
        converted = convert_published(args.network, tensors)
        found = describe_published(args.network, tensors)
    except ValueError as error:
        raise ValueError(f"{args.published}: {error}") from None
    network = create_network(args.network, **found)
    check_state_dict(network, converted, args.published)
    network.load_state_dict(converted, strict=True)

    info: dict[str, Any] = {"network": args.network, **found, "view": "whole", "roi_size": args.roi_size}
    if args.classes:
        info["class_names"] = _class_names(args.classes, found["out_channels"])
    order = args.channel_order or ("BGR" if (found["in_channels"], found["out_channels"]) == (3, 1) else None)
    if order:
        info["channel_order"] = order
    info["source"] = {"file": Path(args.published).name, "sha256": sha256_of(args.published)}
    record = save_weights(converted, output, info)

    skipped = skipped_names(args.network, tensors)
    values = sum(tensors[name].numel() for name in skipped)
    print(f"{args.published}: {len(tensors)} tensors of a published {args.network} checkpoint")
    print(f"  converted  {len(converted)} tensors, {record['parameters']:,} values")
    print(f"  left out   {len(skipped)} tensors, {values:,} values that the network never uses")
    print(f"  network    {', '.join(f'{key} {value}' for key, value in found.items())}; all tensors loaded into it")
    height, width = args.roi_size
    print(f"  seen as    whole picture, resized to {height} x {width}; channel order {order or 'of the bundle'}")
    print(f"{output}: sha256 {record['sha256']}, {record['bytes']:,} bytes")
    return 0


def _class_names(text: str, out_channels: int) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    expected = 2 if out_channels == 1 else out_channels
    if len(names) != expected or not all(names):
        raise ValueError(
            f"--classes names {len(names)} classes ({text}), but {out_channels} output channels stand for {expected}, "
            "background included."
        )
    return names
