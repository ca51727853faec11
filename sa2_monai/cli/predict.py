# SPDX-License-Identifier: Apache-2.0
"""Segment images or volumes with a trained network and write one label map per case, on the grid of its image.

The work is done by the ``configs/inference.yaml`` of the network's bundle. The model metadata beside the weights
(``model.json``: channels, classes, how the network sees an image) override the bundle's defaults. A case that fails
does not end the others; it is named at the end, and the exit code is 1 then. Cases that an earlier run with the same
weights and options has finished are left out; ``--shard`` gives several programs a part of the cases each.

Folders are read to the bottom, and what is not used is counted in a last line, ``left out: ...``. Equal names in
several folders get the folder in front (``pat1_se1``). For a model of one channel numbered files (``scan_0000``,
``scan_0001``) are a case each; for one of N channels N of them are a case. Two models never write into one folder at
once.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from sa2_monai.bundle.ensemble.open import is_ensemble, open_bundles
from sa2_monai.bundle.ensemble.paths import bundles_first
from sa2_monai.bundle.included import run_folder
from sa2_monai.bundle.prediction.run import TrainedModel, bundle_name_of, list_batch, open_model, run_batch
from sa2_monai.bundle.prediction.shard import Shard, shard_of_environment
from sa2_monai.cli.common import positive
from sa2_monai.cli.machine_options import precision, runtime
from sa2_monai.cli.machine_options.threads import add_threads
from sa2_monai.cli.main import UsageError
from sa2_monai.cli.predict_options import instances, slides, starter, tta, watch

__all__ = ["add_arguments", "run"]

AUTO = "auto"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai predict``."""
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="image, folder with its sub-folders, DICOM series folder, or .txt list of paths",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder; label maps come to DIR/predictions (default: runs/predict-INPUT)",
    )
    parser.add_argument(
        "--bundle",
        nargs="+",
        metavar="DIR",
        help="bundle: folder, zip file or name (default: that of the weights' network); several, or a folder of "
        "'crossval': their ensemble, the mean of the probabilities",
    )
    watch.add_arguments(parser)
    parser.add_argument("--weights", metavar="FILE", help="trained weights; models/model.pt of the bundle by default")
    starter.add_arguments(parser)
    parser.add_argument("--probabilities", action="store_true", help="write the probability maps as well")
    parser.add_argument("--overlays", action="store_true", help="draw the classes into the images (DIR/overlays)")
    volumes = parser.add_argument_group("volumes")
    volumes.add_argument(
        "--series",
        metavar="WHICH",
        help="of DICOM folders with several series: UID, number, modality, or a part of the description",
    )
    volumes.add_argument("--dicom-seg", action="store_true", help="write DICOM SEG beside NIfTI, for DICOM series")
    # Left out, the clean-up is that of the weights' validation; so it can be switched off, too.
    volumes.add_argument(
        "--largest-component", action=argparse.BooleanOptionalAction, help="keep the largest piece of each class"
    )
    volumes.add_argument("--fill-holes", action=argparse.BooleanOptionalAction, help="fill holes inside of structures")
    volumes.add_argument("--min-volume", type=float, metavar="MM3", help="drop pieces that are smaller; 0: none")
    volumes.add_argument("--all-axes", action="store_true", help="weights with view windows: average three directions")
    instances.add_arguments(parser)
    tta.add_arguments(parser)
    slides.add_arguments(parser)
    many = parser.add_argument_group("many cases")
    many.add_argument(
        "--shard", type=parse_shard, metavar="I/N", help="part I of N of the cases; auto: as torchrun or SLURM says"
    )
    many.add_argument("--again", action="store_true", help="also the cases that an earlier run has finished")
    many.add_argument("--status", action="store_true", help="predict nothing: tell what is finished, failed, missing")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda when there is a GPU, else cpu, by default")
    parser.add_argument(
        "--batch-size",
        type=_count_or_auto,
        metavar="N",
        help="images, slices or windows at once; auto: what a GPU takes",
    )
    add_threads(parser)
    precision.add_precision(parser, "that of the bundle: fp32, the reference")
    precision.add_parity(parser)
    runtime.add_runtime(parser, "that of the bundle: eager, the reference")


def _count_or_auto(text: str) -> int | str:
    return text if text == AUTO else positive(text)


def run(args: argparse.Namespace) -> int:
    """Check everything that can be known before the network is built, then predict.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0; 1 for ``--status`` when cases have failed or are missing. Failures are raised.

    Raises:
        UsageError: options for volumes with a model of 2D images, or the other way round.
        OSError: a missing file or an output folder that cannot be written.
        ValueError: inputs, weights or bundle that do not fit; the message names the file and what to do.
    """
    weights = starter.weights_of(args)
    bundles, inputs = args.bundle or [bundle_name_of(weights)], args.inputs
    watch.check(args)
    if args.watch is not None:
        inputs = [args.watch]
    if not inputs:  # then the last words behind --bundle are
        bundles, inputs = bundles_first(bundles)
    if not inputs:
        raise UsageError("the following arguments are required: INPUT")
    if weights and is_ensemble(bundles):
        raise UsageError("--weights are those of one bundle, and --bundle names an ensemble, which has its own")
    with open_bundles(bundles) as bundle:
        model = open_model(bundle, weights)
        output = args.output or run_folder("predict", inputs[0])
        shard = shard_of_environment() if args.shard == AUTO else args.shard or Shard()
        print(model.text())
        engine = runtime.overrides(args, model)
        numbers = precision.overrides(args, model, **engine)
        options = {**engine, **numbers, **_options(args, model), **instances.overrides(args, model)}
        if args.watch is not None:
            watch.run(args, model, str(output), options)
        batch, left_out = list_batch(model, inputs, output, options, slides.slide_options(args, model))
        slides.check_objects(args, batch)
        if args.status:
            code, failure = batch.tell_status(), None
        else:
            code = 0
            failure = run_batch(
                model, batch, shard, args.device, args.batch_size, args.again, args.overlays, args.parity
            )
            instances.measure(args, model, batch)
    if left_out:
        print(left_out)
    if failure is not None:
        raise failure
    return code


def _options(args: argparse.Namespace, model: TrainedModel) -> dict[str, Any]:
    """Overrides on which a result depends; some options only volumes have."""
    options = {
        "series": args.series,
        "dicom_seg": args.dicom_seg or None,
        "largest_component": args.largest_component,
        "fill_holes": args.fill_holes,
        "min_volume": args.min_volume,
        "orientations": "all" if args.all_axes else None,
    }
    given = {key: value for key, value in options.items() if value is not None}
    if given and not model.volumes:
        words = ", ".join(f"--{key.replace('_', '-')}" for key in given).replace("--orientations", "--all-axes")
        raise UsageError(f"{words}: for volumes only, and this model was trained on images")
    if model.volumes and args.overlays:
        raise UsageError("--overlays: for images only; 'sa2-monai evaluate --images' draws slices of volumes")
    probabilities = {"save_probabilities": True} if args.probabilities else {}
    return {**given, **probabilities, **tta.overrides(args, model)}


def parse_shard(text: str) -> Shard | str:
    """Value of ``--shard``: ``I/N`` with I from 1 to N, or ``auto``.

    Args:
        text: what was typed.

    Raises:
        argparse.ArgumentTypeError: for anything else.
    """
    if text == AUTO:
        return AUTO
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"expected I/N with I from 1 to N, as in 2/8, or '{AUTO}'; got {text!r}")
    return Shard(int(match[1]) - 1, int(match[2]))
