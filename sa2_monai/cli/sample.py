# SPDX-License-Identifier: Apache-2.0
"""Make a small data set of synthetic microscopy or CT with exact masks, the same on every machine for a seed.

With ``--slide`` a whole slide without masks, ``OUT/slide.tif``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

__all__ = ["add_arguments", "run"]

# Cases by part.
_IMAGES = {"training": 48, "validation": 8, "test": 16}
_VOLUMES = {"training": 12, "validation": 3, "test": 6}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command.

    Args:
        parser: parser of the command.
    """
    parser.add_argument("output", metavar="OUT", help="folder for images/, labels/, dataset.json (images: instances/)")
    parser.add_argument(
        "--volumes", action="store_true", help="abdominal CT volumes with four organs (NIfTI) instead of nuclei (PNG)"
    )
    parser.add_argument(
        "--slide", action="store_true", help="one whole slide, a pyramidal TIFF without masks (slide.tif)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed; the same seed gives the same pixels (default: 0)")
    parser.add_argument(
        "--size",
        type=int,
        nargs="+",
        metavar="N",
        help="images: side in pixels, or H W (default: 256; a slide 2048 3072); with --volumes: least voxels along "
        "left, back and head (default: 96 96 24)",
    )
    for part in _IMAGES:
        parser.add_argument(
            f"--{part}",
            type=int,
            metavar="N",
            help=f"{part} cases (default: {_IMAGES[part]}; with --volumes {_VOLUMES[part]})",
        )
    parser.add_argument("--force", action="store_true", help="write into a folder that holds other files")


def run(args: argparse.Namespace) -> int:
    """Make the sample, or say that it is there already.

    Args:
        args: parsed arguments of :func:`add_arguments`.

    Returns:
        0.

    Raises:
        UsageError: a number out of range.
        OSError: the folder holds something else or cannot be written.
    """
    from sa2_monai import data
    from sa2_monai.cli.common import wrong_use
    from sa2_monai.cli.main import UsageError

    if args.slide:
        return _make_slide(args)
    usual = _VOLUMES if args.volumes else _IMAGES
    counts = {part: number if getattr(args, part) is None else getattr(args, part) for part, number in usual.items()}
    make: Callable[..., Any]
    is_current: Callable[..., bool]
    options: dict[str, Any] = {f"num_{part}": number for part, number in counts.items()}
    if args.volumes:
        if args.size and len(args.size) != 3:
            raise UsageError(f"--size takes three numbers of voxels with --volumes, found {len(args.size)}")
        make, is_current, cases = data.make_sample_volumes, data.sample_volumes_are_current, "volumes"
        options["size"] = tuple(args.size or (96, 96, 24))
    else:
        if args.size and len(args.size) > 2:
            raise UsageError(f"--size takes N or H W, found {len(args.size)} numbers")
        make, is_current, cases = data.make_sample, data.sample_is_current, "images"
        options["size"] = (args.size[0], args.size[-1]) if args.size else (256, 256)
    with wrong_use(ValueError):
        reused = is_current(args.output, args.seed, **options)
    if reused:
        print(f"{args.output}: this sample is there already, complete and unchanged; reused")
    else:
        make(args.output, args.seed, force=args.force, **options)
        numbers = f"{counts['training']} training, {counts['validation']} validation and {counts['test']} test {cases}"
        print(f"{args.output}: {numbers} of seed {args.seed}")
    return 0


def _make_slide(args: argparse.Namespace) -> int:
    from pathlib import Path

    from sa2_monai.cli.main import UsageError
    from sa2_monai.data.samples.slides import make_sample_slide

    given = [f"--{part}" for part in _IMAGES if getattr(args, part) is not None]
    if args.volumes or given or (args.size and len(args.size) > 2):
        raise UsageError("--slide is one file; it goes with --seed, --size N or H W, and --force alone")
    path = Path(args.output) / "slide.tif"
    if path.exists() and not args.force:
        raise UsageError(f"{path}: is there already; --force writes another one")
    size = (args.size[0], args.size[-1]) if args.size else (2048, 3072)
    make_sample_slide(path, args.seed, size=size)
    print(f"{path}: slide of {size[1]} x {size[0]} pixels of seed {args.seed}")
    return 0
