# SPDX-License-Identifier: Apache-2.0
"""Choose how the objects of a bundle's weights are divided, on the validation part of its data.

What is chosen (method, threshold, smoothing, depth, smallest area) is written beside the weights, into
models/model.json, where 'sa2-monai predict --instances', 'evaluate --instances' and the switch 'instances: true' find
it and 'sa2-monai package' takes it along. The images are predicted once, at most 32 of them.
"""

from __future__ import annotations

import argparse

__all__ = ["add_arguments", "run"]

CRITERIA = ("mean", "aji", "pq")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai instances``."""
    parser.epilog = "example: sa2-monai instances --bundle runs/sa2net-nuclei"
    parser.add_argument("--bundle", required=True, metavar="RUN", help="run, or another bundle with weights")
    parser.add_argument("--data", metavar="DIR", help="the validation part of other data than the run's")
    parser.add_argument(
        "--criterion",
        choices=CRITERIA,
        default="mean",
        help="what shall be largest on average over images: aggregated Jaccard index, panoptic quality, or their mean "
        "(default)",
    )
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1")


def run(args: argparse.Namespace) -> int:
    """Choose the settings and print what they reach.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0. Failures are raised.

    Raises:
        OSError, ValueError: as :func:`~sa2_monai.bundle.instances.choose_instances`.
    """
    from sa2_monai.bundle.instances import choose_instances

    choices, sidecar = choose_instances(args.bundle, args.data, args.criterion, args.device)
    what = {"aji": "AJI", "pq": "PQ", "mean": "mean of AJI and PQ"}[args.criterion]
    for name, choice in choices.items():
        print(f"{name}: {choice.settings}")
        print(
            f"  {what} {choice.score:.3f} on {choice.images} images with {choice.objects} objects, undivided "
            f"{choice.components:.3f}; {choice.tried} settings tried"
        )
    print(f"written to {sidecar}; these are the images it was chosen on: score the test part by evaluate --instances")
    return 0
