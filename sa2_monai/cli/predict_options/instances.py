# SPDX-License-Identifier: Apache-2.0
"""``--instances``, ``--measure`` and ``--spacing``: touching objects get numbers of their own; all is measured."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sa2_monai.cli.main import UsageError

if TYPE_CHECKING:
    from sa2_monai.bundle.prediction.batch import Batch
    from sa2_monai.bundle.prediction.run import TrainedModel

__all__ = ["add_arguments", "measure", "overrides", "spacing_value"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("objects and measurements")
    group.add_argument(
        "--instances", action="store_true", help="images: number touching objects apart (DIR/instances, 16 bit)"
    )
    group.add_argument(
        "--measure", action="store_true", help="areas, volumes, diameters, intensities (DIR/measurements.csv and .json)"
    )
    group.add_argument(
        "--spacing",
        type=spacing_value,
        metavar="MM",
        help="with --measure: millimetres per pixel of images, rows,columns or one number, instead of their files'",
    )


def overrides(args: argparse.Namespace, model: TrainedModel) -> dict[str, Any]:
    """Switches of ``inference.yaml``: the settings of the objects in full, since a result depends on them.

    Args:
        args: the parsed arguments.
        model: what predicts.

    Raises:
        UsageError: options that do not go together, or with this model.
        ValueError: damaged settings beside the weights.
    """
    if args.spacing is not None and not args.measure:
        raise UsageError("--spacing belongs to --measure; the pixel size of a whole slide is --slide-mpp")
    if args.spacing is not None and model.volumes:
        raise UsageError("--spacing: for images only; volumes have it in their files")
    if not args.instances and not _of_the_model(args, model):
        return {}
    if model.volumes:
        raise UsageError(
            "--instances: for images only, and this model was trained on volumes; --measure counts what is connected"
        )
    from dataclasses import asdict

    from sa2_monai.bundle.network import resolve
    from sa2_monai.bundle.sidecar import apply_settings
    from sa2_monai.inference.instances import settings_of

    (names,) = resolve(apply_settings(model.config, model.sidecar), "class_names")
    found, chosen = settings_of(True, names, model.weights)
    for name, settings in found.items():
        print(f"objects, {name}: {settings}")
    if not chosen:
        print(
            f"{model.weights.with_suffix('.json').name} has no settings of objects: these are the defaults, by the "
            "size of the objects; 'sa2-monai instances --bundle RUN' chooses them on the validation part"
        )
    return {"instances": {name: asdict(settings) for name, settings in found.items()}}


def _of_the_model(args: argparse.Namespace, model: TrainedModel) -> bool:
    """Whether a starter model brings the settings of its objects: who names it wants to have them counted."""
    from sa2_monai.inference.instances.settings import KEY
    from sa2_monai.weights import read_info

    return args.model is not None and KEY in read_info(model.weights)


def measure(args: argparse.Namespace, model: TrainedModel, batch: Batch) -> None:
    """Measure what is finished, where that was asked for, and say where the tables are.

    Args:
        args: the parsed arguments.
        model: what has predicted.
        batch: the cases.
    """
    if args.measure:
        from sa2_monai.bundle.prediction.measure import measure_batch

        paths = measure_batch(batch, model.setting("class_names"), args.spacing)
        print(f"measurements in {paths['csv']} and {paths['json'].name}")


def spacing_value(text: str) -> float | list[float]:
    """Value of ``--spacing``: one number above 0, or two with a comma.

    Args:
        text: what was typed.

    Raises:
        argparse.ArgumentTypeError: for anything else.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) not in (1, 2) or not all(0 < value < float("inf") for value in found):
        raise argparse.ArgumentTypeError(f"expected millimetres as ROWS,COLUMNS or one number above 0, got {text!r}")
    return found[0] if len(found) == 1 else found
